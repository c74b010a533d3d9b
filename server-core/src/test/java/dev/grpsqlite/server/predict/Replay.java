package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A client whose cache takes what it is sent, and a server that reads what the predictor wants:
 * what a trace of demands costs.
 */
final class Replay {
  /** What a sound database takes is far from what a round may take: one in so many. */
  private static final int SOUND_PART = 4;

  private final RealDatabase database;
  private final Predictor predictor;
  private final long creditBytes;
  private final Set<Long> cache;
  private final Set<Long> broughtByOpen = new HashSet<>();
  private final Set<Long> needed = new HashSet<>();

  int roundTrips;
  int fetched;

  /** Of these, with the open. */
  int opened;

  int twice;

  /** Pages that the server read to find out what to send. */
  int looked;

  /** How often it did: one after the other, so each is as slow as its store. */
  int reads;

  Replay(RealDatabase database, Predictor predictor, long creditBytes) {
    this(database, predictor, creditBytes, Integer.MAX_VALUE);
  }

  /** A client that keeps the pages used last. */
  Replay(RealDatabase database, Predictor predictor, long creditBytes, int cachePages) {
    this.cache = Collections.newSetFromMap(newestOf(cachePages));
    this.database = database;
    this.predictor = predictor;
    this.creditBytes = creditBytes;
  }

  private static Map<Long, Boolean> newestOf(int pages) {
    return new LinkedHashMap<>(16, 0.75f, true) {
      @Override
      protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
        return size() > pages;
      }
    };
  }

  /** What {@link #openLike} needs. */
  record Open(Predictor.Opened opened, List<PageImage> pages) {}

  Open open(long openCreditBytes) {
    roundTrips++;
    receive(1);
    if (openCreditBytes > 0) {
      play(predictor.opened(database.shape, database.page(1), openCreditBytes));
    }
    opened = fetched;
    broughtByOpen.addAll(cache);
    List<PageImage> pages = cache.stream().map(database::page).toList();
    return new Open(predictor.asOpened(database.shape, pages), pages);
  }

  /** Opens as another did. */
  void openLike(Open other) {
    roundTrips++;
    assertTrue(predictor.openedLike(other.opened));
    other.pages.forEach(page -> receive(page.number()));
    opened = fetched;
    broughtByOpen.addAll(cache);
  }

  /** What it cost, to compare. */
  List<Integer> costs() {
    return List.of(roundTrips, fetched, opened, twice);
  }

  /** Reads the pages as the trace has them. */
  void read(List<Long> pages) {
    for (long page : pages) {
      needed.add(page);
      if (!cache.contains(page)) {
        roundTrips++;
        receive(page);
        if (creditBytes > 0) {
          play(predictor.demanded(database.shape, List.of(database.page(page)), creditBytes));
        }
      }
    }
  }

  private void play(@Nullable Round round) {
    if (round == null) {
      return;
    }
    try (round) {
      List<PageImage> read = new ArrayList<>();
      do {
        for (PageImage page : round.take(read)) {
          receive(page.number());
        }
        assertTrue(
            predictor.work().spent() <= Work.MOST_IN_STEP / SOUND_PART, "too much in a step");
        read.clear();
        reads += round.wanted().length > 0 ? 1 : 0;
        for (long page : round.wanted()) {
          looked++;
          read.add(database.page(page));
        }
      } while (!read.isEmpty());
      assertTrue(round.worked() <= round.mayWork() / SOUND_PART, "too much in a round");
    }
  }

  private void receive(long page) {
    fetched++;
    if (!cache.add(page)) {
      twice++;
    }
  }

  int needed() {
    return needed.size();
  }

  /**
   * What was fetched, for each page that was needed; the interior pages that come with an open
   * aside.
   */
  double ratio() {
    return (double) (fetched - unusedOfOpen()) / needed.size();
  }

  private int unusedOfOpen() {
    return opened - (int) needed.stream().filter(broughtByOpen::contains).count();
  }
}
