package dev.grpsqlite.bench.profile;

import java.nio.file.Path;
import java.util.Map;

/**
 * What one place did while it was measured: whose CPU it took. Immutable.
 *
 * @param place its name
 * @param seconds that passed
 * @param client CPU seconds of the measuring process by kinds of threads: SQLite and the extension
 *     run on that which measures
 * @param server the same of the server's
 * @param methods of the server's Java threads: parts of the samples; empty where they could not be
 *     taken
 */
public record Profile(
    String place,
    double seconds,
    Map<String, Double> client,
    Map<String, Double> server,
    Map<String, Double> methods) {

  /** What is to be watched. */
  public interface Work {
    void run() throws Exception;
  }

  /**
   * Does the work twice: once to see whose CPU it takes, and once more to see where, for what
   * samples a virtual machine has some of its code compiled anew.
   *
   * @param pid of the server
   * @param folder for what is recorded
   */
  public static Profile of(String place, long pid, Path folder, Work work) throws Exception {
    long own = ProcessHandle.current().pid();
    ThreadTimes clientBefore = ThreadTimes.of(own);
    ThreadTimes serverBefore = ThreadTimes.of(pid);
    long begun = System.nanoTime();
    work.run();
    double seconds = (System.nanoTime() - begun) / 1e9;
    Map<String, Double> client = ThreadTimes.of(own).since(clientBefore);
    Map<String, Double> server = ThreadTimes.of(pid).since(serverBefore);
    FlightRecording recording = new FlightRecording(pid, folder.resolve("profile.jfr"));
    work.run();
    return new Profile(place, seconds, client, server, recording.hottest());
  }

  /** Of all threads. */
  public static double sum(Map<String, Double> seconds) {
    return seconds.values().stream().mapToDouble(Double::doubleValue).sum();
  }
}
