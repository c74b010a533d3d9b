package dev.grpsqlite.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.auth.WatchedFiles.Outcome;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WatchedFilesTest {
  @TempDir Path folder = Path.of("");
  private final List<String> taken = new ArrayList<>();

  @BeforeEach
  void write() throws Exception {
    Files.writeString(folder.resolve("a"), "a1");
    Files.writeString(folder.resolve("b"), "b1");
  }

  private WatchedFiles watch(String... names) throws Exception {
    List<Path> paths = new ArrayList<>();
    for (String name : names) {
      paths.add(folder.resolve(name));
    }
    return new WatchedFiles(
        paths,
        WatchedFiles.read(paths),
        contents -> {
          StringBuilder all = new StringBuilder();
          contents.forEach(each -> all.append(new String(each, StandardCharsets.UTF_8)));
          if (all.indexOf("bad") >= 0) {
            throw new PemException("it is bad", null);
          }
          taken.add(all.toString());
        });
  }

  private static List<Outcome> look(WatchedFiles files, int times) {
    List<Outcome> outcomes = new ArrayList<>();
    for (int i = 0; i < times; i++) {
      outcomes.add(files.look().outcome());
    }
    return outcomes;
  }

  @Test
  void aChangeIsTakenOnceItStandsStill() throws Exception {
    WatchedFiles files = watch("a", "b");
    assertEquals(List.of(Outcome.NOTHING_NEW, Outcome.NOTHING_NEW), look(files, 2));
    Files.writeString(folder.resolve("a"), "a2");
    assertEquals(List.of(Outcome.NOTHING_NEW), look(files, 1));
    Files.writeString(folder.resolve("b"), "b2"); // Still being written.
    assertEquals(List.of(Outcome.NOTHING_NEW, Outcome.TAKEN, Outcome.NOTHING_NEW), look(files, 3));
    assertEquals(List.of("a2b2"), taken);
  }

  @Test
  void anotherFileOfThatNameIsSeen() throws Exception {
    WatchedFiles files = watch("a");
    Files.writeString(folder.resolve("new"), "a2"); // As long as the old.
    Files.setLastModifiedTime(
        folder.resolve("new"), Files.getLastModifiedTime(folder.resolve("a")));
    Files.move(folder.resolve("new"), folder.resolve("a"), StandardCopyOption.ATOMIC_MOVE);
    assertEquals(List.of(Outcome.NOTHING_NEW, Outcome.TAKEN), look(files, 2));
  }

  @Test
  void aLinkThatLeadsElsewhereIsSeen() throws Exception {
    // As Kubernetes mounts secrets: tls.crt -> ..data/tls.crt, ..data -> a folder of the time.
    Path one = Files.createDirectory(folder.resolve("..one"));
    Path two = Files.createDirectory(folder.resolve("..two"));
    Files.writeString(one.resolve("tls.crt"), "one");
    Files.writeString(two.resolve("tls.crt"), "two");
    Path data = folder.resolve("..data");
    Files.createSymbolicLink(data, Path.of("..one"));
    Files.createSymbolicLink(folder.resolve("tls.crt"), Path.of("..data/tls.crt"));
    WatchedFiles files = watch("tls.crt");
    Path swapped = Files.createSymbolicLink(folder.resolve("..data_tmp"), Path.of("..two"));
    Files.move(swapped, data, StandardCopyOption.ATOMIC_MOVE);
    assertEquals(List.of(Outcome.NOTHING_NEW, Outcome.TAKEN), look(files, 2));
    assertEquals(List.of("two"), taken);
  }

  @Test
  void aBadChangeIsToldOnceAndTheNextGoodOneTaken() throws Exception {
    WatchedFiles files = watch("a");
    Files.writeString(folder.resolve("a"), "bad");
    assertEquals(
        List.of(Outcome.NOTHING_NEW, Outcome.REFUSED, Outcome.NOTHING_NEW), look(files, 3));
    Files.writeString(folder.resolve("a"), "a1");
    assertEquals(List.of(Outcome.NOTHING_NEW, Outcome.TAKEN), look(files, 2));
  }

  @Test
  void aFileThatIsGoneIsToldOnce() throws Exception {
    WatchedFiles files = watch("a");
    Files.delete(folder.resolve("a"));
    WatchedFiles.Look gone = files.look();
    assertEquals(Outcome.REFUSED, gone.outcome());
    assertTrue(gone.problem().contains("cannot be read"), gone.problem());
    assertEquals(List.of(Outcome.NOTHING_NEW), look(files, 1));
    Files.writeString(folder.resolve("a"), "a1");
    assertEquals(List.of(Outcome.NOTHING_NEW, Outcome.NOTHING_NEW), look(files, 2));
    Files.delete(folder.resolve("a"));
    assertEquals(List.of(Outcome.REFUSED), look(files, 1));
  }
}
