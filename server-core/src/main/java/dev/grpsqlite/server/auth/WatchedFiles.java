package dev.grpsqlite.server.auth;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Files that are used together and read again when they change. They are read whole each time that
 * they are looked at, and compared: so it makes no difference whether a file was written in place,
 * replaced by another, or is behind a link that now leads elsewhere. A change counts when it was
 * seen the same twice in a row, so that what is still being written is not taken.
 *
 * <p>One thread at a time.
 */
public final class WatchedFiles {
  /** Some hundred thousand lines of rules; more is a mistake. */
  private static final int MAX_BYTES = 16 << 20;

  private static final Look NOTHING_NEW = new Look(Outcome.NOTHING_NEW, "");

  /** What the files' user makes of them; it keeps what it had if that fails. */
  @FunctionalInterface
  public interface Use {
    void take(List<byte[]> contents) throws PemException, RulesSyntaxException;
  }

  private final List<Path> paths;
  private final Use use;
  private List<byte[]> taken;
  private List<byte[]> lastSeen;
  private @Nullable String readProblem;

  /**
   * @param contents what was read of the files already, and used
   */
  public WatchedFiles(List<Path> paths, List<byte[]> contents, Use use) {
    this.paths = List.copyOf(paths);
    this.use = use;
    this.taken = contents;
    this.lastSeen = contents;
  }

  /** What looking at them found. */
  public record Look(Outcome outcome, String problem) {}

  /** Whether there was something new, and whether it was good. */
  public enum Outcome {
    NOTHING_NEW,
    TAKEN,
    /** Told once for each content. */
    REFUSED
  }

  public List<Path> paths() {
    return paths;
  }

  /** Looks at the files; to be called now and then. */
  public Look look() {
    List<byte[]> seen;
    try {
      seen = read(paths);
    } catch (IOException e) {
      String problem = "cannot be read: " + e;
      boolean told = problem.equals(readProblem);
      readProblem = problem;
      return told ? NOTHING_NEW : new Look(Outcome.REFUSED, problem);
    }
    readProblem = null;
    boolean twice = same(seen, lastSeen);
    lastSeen = seen;
    if (!twice || same(seen, taken)) {
      return NOTHING_NEW;
    }
    // If it is refused, it is not tried again before it changes again.
    taken = seen;
    try {
      use.take(seen);
      return new Look(Outcome.TAKEN, "");
    } catch (PemException | RulesSyntaxException e) {
      return new Look(Outcome.REFUSED, String.valueOf(e.getMessage()));
    }
  }

  public static List<byte[]> read(List<Path> paths) throws IOException {
    List<byte[]> contents = new ArrayList<>();
    for (Path path : paths) {
      if (Files.size(path) > MAX_BYTES) {
        throw new IOException(path + " has more than " + MAX_BYTES + " bytes");
      }
      contents.add(Files.readAllBytes(path));
    }
    return contents;
  }

  private static boolean same(List<byte[]> a, List<byte[]> b) {
    for (int i = 0; i < a.size(); i++) {
      if (!Arrays.equals(a.get(i), b.get(i))) {
        return false;
      }
    }
    return true;
  }
}
