package dev.grpsqlite.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.launch.ServerOptions;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Our own servers keep every rule, the recommended ones too. */
@Timeout(180)
@Execution(ExecutionMode.CONCURRENT)
class OwnServersTest {
  @TempDir Path folder;

  @ParameterizedTest(name = "{0}, atomic batches: {1}")
  @CsvSource({"memory, true", "memory, false", "versioned, true", "rocksdb, true"})
  void keepsAllRules(String backend, boolean atomicBatch) throws Exception {
    ServerOptions options =
        ServerOptions.DEFAULTS.withSessionTtl(Duration.ofSeconds(4)).withAtomicBatch(atomicBatch);
    try (GoodServer server = new GoodServer(backend, folder, options)) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      PrintStream print = new PrintStream(out, true, StandardCharsets.UTF_8);
      int exitCode = new Main(print, print).run("--target", server.address());
      String text = out.toString(StandardCharsets.UTF_8);
      assertEquals(Main.KEPT, exitCode, text);
      assertFalse(text.contains("\nmissed"), text);
      assertTrue(text.contains(" passed, 0 failed"), text);
      assertEquals(
          atomicBatch, text.contains("the page service"), "which services were looked at: " + text);
    }
  }
}
