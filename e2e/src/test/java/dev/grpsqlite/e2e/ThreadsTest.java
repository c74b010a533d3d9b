package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One process, many threads; the program and the extension are built with ThreadSanitizer. */
class ThreadsTest {
  private static final int TRANSACTIONS = 60;

  @TempDir Path folder;

  @Test
  void fifteenReadersSeeOneVersionEachBesideAWriterAndAreNeverBusy() throws Exception {
    run("readers", threadSanitized(), Kind.freshName("threads"), "" + TRANSACTIONS);
  }

  @Test
  void twoDatabasesAtEachOfTwoServersAreApart() throws Exception {
    String one = Kind.freshName("apart");
    String two = Kind.freshName("apart");
    List<String> databases = new ArrayList<>();
    for (Kind kind : List.of(Kind.MEMORY, Kind.ROCKSDB)) {
      for (String name : List.of(one, two)) {
        databases.add("file:" + name + "?server=" + kind.server().url());
      }
    }
    List<String> arguments = new ArrayList<>(List.of("apart", threadSanitized(), "40"));
    arguments.addAll(databases);
    run(arguments.toArray(String[]::new));
  }

  private static String threadSanitized() {
    return Dist.threadSanitizedLibrary().toString();
  }

  private void run(String... arguments) throws Exception {
    Path program = CPrograms.compile(folder, "threads", "-O1", "-fsanitize=thread");
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(arguments));
    Finished run =
        Kind.ROCKSDB
            .client(folder)
            .with("TSAN_OPTIONS", "halt_on_error=1")
            .run("", command.toArray(String[]::new));
    assertEquals("ok\n", run.ok());
  }
}
