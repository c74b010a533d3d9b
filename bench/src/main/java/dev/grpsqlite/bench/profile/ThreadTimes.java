package dev.grpsqlite.bench.profile;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * CPU time of a process's threads, by what they are called: those whose names differ in a number
 * alone are one kind. From {@code /proc}, in its ticks of 10 ms. Immutable.
 *
 * @param seconds that each kind has used since the process began; of threads that have ended: none
 */
record ThreadTimes(Map<String, Double> seconds) {
  private static final double TICKS_PER_SECOND = 100;
  private static final int USER_FIELD = 11;
  private static final int SYSTEM_FIELD = 12;

  static ThreadTimes of(long pid) throws IOException {
    Map<String, Double> seconds = new HashMap<>();
    try (DirectoryStream<Path> threads =
        Files.newDirectoryStream(Path.of("/proc", Long.toString(pid), "task"))) {
      for (Path thread : threads) {
        add(seconds, stat(thread));
      }
    }
    return new ThreadTimes(seconds);
  }

  /** Empty: the thread has ended meanwhile. */
  private static String stat(Path thread) throws IOException {
    try {
      return Files.readString(thread.resolve("stat"));
    } catch (NoSuchFileException e) {
      return "";
    }
  }

  /** The name is in parentheses, and may have some itself. */
  static void add(Map<String, Double> seconds, String stat) {
    if (stat.isEmpty()) {
      return;
    }
    int end = stat.lastIndexOf(')');
    String[] fields = stat.substring(end + 2).split(" ", -1);
    double ticks =
        Double.parseDouble(fields[USER_FIELD]) + Double.parseDouble(fields[SYSTEM_FIELD]);
    seconds.merge(
        kind(stat.substring(stat.indexOf('(') + 1, end)), ticks / TICKS_PER_SECOND, Double::sum);
  }

  private static String kind(String name) {
    return name.replaceAll("[-#:_ ]+[0-9]+(-[0-9]+)*|[0-9]+$", "").strip();
  }

  /** What was used since then, the most first; kinds that used nothing are left out. */
  Map<String, Double> since(ThreadTimes before) {
    Map<String, Double> used = new LinkedHashMap<>();
    seconds.entrySet().stream()
        .map(each -> Map.entry(each.getKey(), each.getValue() - before.of(each.getKey())))
        .filter(each -> each.getValue() > 0)
        .sorted(Map.Entry.<String, Double>comparingByValue().reversed())
        .forEach(each -> used.put(each.getKey(), each.getValue()));
    return used;
  }

  private double of(String kind) {
    return seconds.getOrDefault(kind, 0.0);
  }
}
