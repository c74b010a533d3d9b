package dev.grpsqlite.bench.profile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProfileTest {
  @TempDir Path folder;

  private static String stat(String name, int user, int system) {
    return "17 (" + name + ") S 1 2 3 4 5 6 7 8 9 10 " + user + " " + system + " 0 0 20 0";
  }

  @Test
  void threadsWhoseNamesDifferInANumberAreOfOneKind() {
    Map<String, Double> seconds = new HashMap<>();
    ThreadTimes.add(seconds, stat("rocksdb-read-1", 100, 20));
    ThreadTimes.add(seconds, stat("rocksdb-read-12", 10, 0));
    ThreadTimes.add(seconds, stat("GC Thread#0", 7, 0));
    ThreadTimes.add(seconds, stat("C2 CompilerThre", 3, 0));
    ThreadTimes.add(seconds, stat("a) (b", 0, 1));
    assertEquals(
        Map.of("rocksdb-read", 1.3, "GC Thread", 0.07, "C2 CompilerThre", 0.03, "a) (b", 0.01),
        seconds);
  }

  @Test
  void whatUsedNothingSinceThenIsLeftOut() {
    ThreadTimes before = new ThreadTimes(Map.of("a", 1.0, "b", 2.0));
    ThreadTimes after = new ThreadTimes(Map.of("a", 1.0, "b", 2.5, "c", 4.0));
    assertEquals(List.of("c", "b"), List.copyOf(after.since(before).keySet()));
    assertEquals(0.5, after.since(before).get("b"));
  }

  /** Something that a sample finds at work. */
  private static long spin(long untilNanos) {
    long sum = 0;
    while (System.nanoTime() < untilNanos) {
      for (int i = 0; i < 100_000; i++) {
        sum += Long.hashCode(sum * 31 + i);
      }
    }
    return sum;
  }

  @Test
  void aProcessAtWorkIsSeenWhereItIs() throws Exception {
    long pid = ProcessHandle.current().pid();
    long[] sum = new long[1];
    Profile profile =
        Profile.of("here", pid, folder, () -> sum[0] = spin(System.nanoTime() + 500_000_000));
    assertTrue(Profile.sum(profile.server()) > 0.1, profile + " " + sum[0]);
    assertTrue(profile.methods().getOrDefault("ProfileTest.spin", 0.0) > 0.2, profile.toString());
  }
}
