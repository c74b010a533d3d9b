package dev.grpsqlite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.cli.Refusal.Kind;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Which server is meant, and what is said of what cannot be meant. */
class ServerOptionsTest {
  private static ServerOptions given(String... line) {
    return CommandLine.populateCommand(new ServerOptions(), line);
  }

  @Test
  void noTimeToConnectIsTheDefault() {
    assertEquals(Duration.ofSeconds(5), ServerOptions.connectTimeout("0"));
    assertEquals(Duration.ofMillis(7), ServerOptions.connectTimeout("7"));
    assertEquals(Duration.ofSeconds(5), ServerOptions.connectTimeout(null));
  }

  @ParameterizedTest
  @ValueSource(strings = {"-1", "0", "abc", "+5", "86400001", "99999999999999999999"})
  void aTimeThatTheExtensionRefusesIsRefused(String value) {
    Refusal wrong =
        assertThrows(
            Refusal.class, () -> ServerOptions.milliseconds("GRPSQLITE_TIMEOUT_MS", value, 1, 9));
    assertEquals(Kind.USAGE, wrong.kind());
    assertEquals(
        "GRPSQLITE_TIMEOUT_MS is '" + value + "'; it must be a number from 1 to 86400000",
        wrong.getMessage());
  }

  @Test
  void aPasswordInTheUrlIsRefusedAndNotShown() {
    Refusal wrong =
        assertThrows(Refusal.class, () -> given("--server=http://me:secret@host").endpoint());
    assertEquals(Kind.USAGE, wrong.kind());
    assertTrue(wrong.getMessage().contains("has a user name"), wrong::getMessage);
    assertFalse(wrong.getMessage().contains("secret"), wrong::getMessage);
  }

  @Test
  void aTokenFileThatCannotBeReadIsNamed(@TempDir Path folder) {
    Path missing = folder.resolve("missing");
    Refusal none = assertThrows(Refusal.class, () -> given("--token-file=" + missing).endpoint());
    assertEquals(Kind.NOT_FOUND, none.kind());
    assertEquals("there is no token file " + missing, none.getMessage());
    Refusal noFile = assertThrows(Refusal.class, () -> given("--token-file=" + folder).endpoint());
    assertEquals(
        "the token file " + folder + " cannot be read: it is a folder", noFile.getMessage());
  }
}
