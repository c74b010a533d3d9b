package dev.grpsqlite.bench.profile;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordedFrame;
import jdk.jfr.consumer.RecordingFile;

/** Samples of the Java threads of another process, from its begin to {@link #hottest}. */
final class FlightRecording {
  private static final String NAME = "bench";
  private static final Set<String> SAMPLES =
      Set.of("jdk.ExecutionSample", "jdk.NativeMethodSample");

  /** Native methods in which a thread waits. */
  private static final List<String> WAITING =
      List.of("epollWait0", "epoll_wait", "epollWait", "park", "accept", "waitFor", "poll");

  private static final int MOST = 10;
  private final long pid;
  private final Path file;

  /** Begins it. Fails with an IOException where there is no {@code jcmd}, as without a JDK. */
  FlightRecording(long pid, Path file) throws IOException, InterruptedException {
    this.pid = pid;
    this.file = file;
    command("JFR.start", "name=" + NAME, "settings=profile");
  }

  private void command(String... arguments) throws IOException, InterruptedException {
    Path jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd");
    ProcessBuilder builder = new ProcessBuilder(jcmd.toString(), Long.toString(pid));
    builder.command().addAll(List.of(arguments));
    Process process = builder.redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(1, TimeUnit.MINUTES) || process.exitValue() != 0) {
      throw new IOException("jcmd " + arguments[0] + ": " + said.strip());
    }
  }

  /**
   * Ends it: the methods in which threads were, the most frequent first, with their parts of all.
   */
  Map<String, Double> hottest() throws IOException, InterruptedException {
    command("JFR.stop", "name=" + NAME, "filename=" + file.toAbsolutePath());
    Map<String, Integer> samples = new HashMap<>();
    int all = 0;
    for (RecordedEvent event : RecordingFile.readAllEvents(file)) {
      if (!SAMPLES.contains(event.getEventType().getName()) || event.getStackTrace() == null) {
        continue;
      }
      List<RecordedFrame> frames = event.getStackTrace().getFrames();
      if (frames.isEmpty() || WAITING.contains(frames.get(0).getMethod().getName())) {
        continue;
      }
      all++;
      samples.merge(name(frames.get(0)), 1, Integer::sum);
    }
    Files.delete(file);
    Map<String, Double> hottest = new LinkedHashMap<>();
    double total = Math.max(all, 1);
    samples.entrySet().stream()
        .sorted(Map.Entry.<String, Integer>comparingByValue().reversed())
        .limit(MOST)
        .forEach(each -> hottest.put(each.getKey(), each.getValue() / total));
    return hottest;
  }

  private static String name(RecordedFrame frame) {
    String type = frame.getMethod().getType().getName();
    return type.substring(type.lastIndexOf('.') + 1) + "." + frame.getMethod().getName();
  }
}
