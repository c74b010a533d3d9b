package dev.grpsqlite.server.spi;

import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What {@link PageStore#commitGroup} comes to in every store. */
public final class CommitGroups {
  /** More databases than a SQLite connection can have, which is 125 and the main one. */
  public static final int MAX_COMMITS = 128;

  private CommitGroups() {}

  /** What became of an earlier sending of a commit, as the store can tell (P5). */
  public enum Earlier {
    /** The version after its base has its id. */
    APPLIED,
    /** The version after its base has another id, or does not exist. */
    NOT_APPLIED,
    /** The version after its base is too long ago to tell. */
    FORGOTTEN,
    /** There is no such database, any more. */
    NO_DATABASE
  }

  /** Refuses a group that names a database twice, or none. */
  public static void check(List<Commit> commits) {
    Set<DatabaseId> databases = new HashSet<>();
    for (Commit commit : commits) {
      if (!databases.add(commit.database())) {
        throw new StoreException(
            Code.INVALID_REQUEST, "database " + commit.database() + " is in the group twice");
      }
    }
    if (commits.isEmpty()) {
      throw new StoreException(Code.INVALID_REQUEST, "a group has at least one commit");
    }
  }

  /**
   * Says whether a group was applied before. As it is applied whole, one commit of which that is
   * known is enough to tell.
   *
   * @param earlier of each of its commits
   */
  public static boolean wasApplied(List<Earlier> earlier) {
    Set<Earlier> kinds = EnumSet.copyOf(earlier);
    boolean applied = kinds.contains(Earlier.APPLIED);
    boolean notApplied = kinds.contains(Earlier.NOT_APPLIED);
    if (applied && notApplied) {
      throw new StoreException(
          Code.INVALID_REQUEST, "one of these commits was applied without the others");
    }
    if (!applied && !notApplied && kinds.contains(Earlier.FORGOTTEN)) {
      throw new StoreException(
          Code.OUTCOME_UNKNOWN, "that commit is too long ago to tell whether it was made");
    }
    return applied;
  }

  /** The versions that the commits make. */
  public static List<Long> versions(List<Commit> commits) {
    return commits.stream().map(commit -> commit.baseVersion() + 1).toList();
  }
}
