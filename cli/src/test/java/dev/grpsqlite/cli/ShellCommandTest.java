package dev.grpsqlite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What sqlite3 is told to open. */
class ShellCommandTest {
  @ParameterizedTest
  @CsvSource({
    "-dash.db, file:-dash.db?vfs=grpsqlite",
    "file:x.db?version=1, file:file%3Ax.db%3Fversion%3D1?vfs=grpsqlite",
    "tenant-7/main.db, file:tenant-7/main.db?vfs=grpsqlite",
    "//host/x, file:%2F/host/x?vfs=grpsqlite",
    "'a b#%41\"\\', file:a%20b%23%2541%22%5C?vfs=grpsqlite",
    "\u00fc, file:%C3%BC?vfs=grpsqlite",
  })
  void aNameIsThatOfADatabaseAtTheServer(String name, String uri) {
    assertEquals(uri, ShellCommand.uri(name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ":memory:"})
  void whatSqliteWouldKeepForItselfIsRefused(String name) {
    assertThrows(Refusal.class, () -> ShellCommand.uri(name));
  }

  @Test
  void aTerminalGetsNothingThatItWouldObey() {
    assertEquals("gr\u00f6\u00dfe\\u001b[2J\\u000a", Terminal.shown("gr\u00f6\u00dfe\u001b[2J\n"));
  }
}
