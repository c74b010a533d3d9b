package dev.grpsqlite.server.predict;

import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A plan that is to be found, and then followed. */
final class Found implements Plan {
  private final Search search;
  private final Consumer<Walk> kept;
  private @Nullable Plan found;

  interface Search {
    Result look(Round round);
  }

  /**
   * Of a search.
   *
   * @param step BLOCKED: pages are missing for it
   */
  record Result(Step step, @Nullable Plan plan) {
    static Result of(Step step) {
      return new Result(step, null);
    }

    static Result of(Plan plan) {
      return new Result(Step.DONE, plan);
    }
  }

  /**
   * @param kept told of the walk, if it is one
   */
  Found(Search search, Consumer<Walk> kept) {
    this.search = search;
    this.kept = kept;
  }

  @Override
  public boolean advance(Round round) {
    if (found == null) {
      Result result = search.look(round);
      if (result.plan == null) {
        return result.step != Step.BLOCKED;
      }
      found = result.plan;
      if (found instanceof Walk walk) {
        kept.accept(walk);
      }
    }
    return found.advance(round);
  }

  /** Several plans in turn, up to one that finds something. */
  static Plan first(List<Plan> plans) {
    return new First(plans);
  }

  private static final class First implements Plan {
    private final List<Plan> plans;
    private int at;

    First(List<Plan> plans) {
      this.plans = plans;
    }

    @Override
    public boolean advance(Round round) {
      for (; at < plans.size(); at++) {
        Plan plan = plans.get(at);
        if (!plan.advance(round)) {
          return false;
        }
        if (plan instanceof Found search && search.found != null) {
          return true;
        }
      }
      return true;
    }
  }
}
