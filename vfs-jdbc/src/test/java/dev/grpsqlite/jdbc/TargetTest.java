package dev.grpsqlite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.SQLException;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TargetTest {
  private static Target parse(String url) throws SQLException {
    return Target.parse("jdbc:grpsqlite:" + url, new Properties());
  }

  @ParameterizedTest
  @CsvSource({
    "//h:1/a.db, file:a.db?vfs=grpsqlite&server=http%3A%2F%2Fh%3A1",
    "//h/t/a.db?tls=false, file:t/a.db?vfs=grpsqlite&server=http%3A%2F%2Fh",
    "//[::1]:2/a.db?tls=true, file:a.db?vfs=grpsqlite&server=https%3A%2F%2F%5B%3A%3A1%5D%3A2",
    "//h/a.db?ca_file=/c, file:a.db?vfs=grpsqlite&server=https%3A%2F%2Fh&ca_file=%2Fc",
    "'//h:1,[::1]:2,i/a.db', file:a.db?vfs=grpsqlite&server="
        + "http%3A%2F%2Fh%3A1%2Chttp%3A%2F%2F%5B%3A%3A1%5D%3A2%2Chttp%3A%2F%2Fi",
    "'//h,i:2/a.db?tls=true', file:a.db?vfs=grpsqlite&server="
        + "https%3A%2F%2Fh%2Chttps%3A%2F%2Fi%3A2",
    "'///a.db?server=http://h:1,http://i', file:a.db?vfs=grpsqlite&server="
        + "http%3A%2F%2Fh%3A1%2Chttp%3A%2F%2Fi",
    "'///a.db?server=http://h/, unix:/s,t', file:a.db?vfs=grpsqlite&server="
        + "http%3A%2F%2Fh%2F%2C%20unix%3A%2Fs%2Ct",
    "///a.db, file:a.db?vfs=grpsqlite",
    "///a.db?server=unix:/s, file:a.db?vfs=grpsqlite&server=unix%3A%2Fs",
    "//h/a%20b%3Fc%25, file:a%20b%3Fc%25?vfs=grpsqlite&server=http%3A%2F%2Fh",
    "//h/a+b?at=2026-01-31T10:00:00%2B01:00,"
        + " file:a%2Bb?vfs=grpsqlite&server=http%3A%2F%2Fh&at=2026-01-31T10%3A00%3A00%2B01%3A00",
  })
  void theUriSaysWhatTheUrlSays(String url, String uri) throws SQLException {
    assertEquals(uri, parse(url).uri());
    // What is shown can be used again.
    String shown = parse(url).url();
    assertEquals(uri, Target.parse(shown, new Properties()).uri(), shown);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "h/a.db",
        "//h",
        "//h/",
        "//me:secret@h/a.db",
        "//h/a.db?tls=maybe",
        "//h/a.db?tls=false&ca_file=/c",
        "//h/a.db?server=http://other",
        "///a.db?tls=true",
        "//h/a.db?tokn=secret",
        "//h/a.db?secret",
        "//h/a.db?token=secret%",
        "//me:secret@h",
        "///a.db?server=http://me:secret@h",
        "//h/a.db?token=secret%00",
        "//h/a.db?mode=memory",
      })
  void whatIsWrongIsSaidWithoutSecrets(String url) {
    SQLException e = assertThrows(SQLException.class, () -> parse(url));
    assertTrue(!String.valueOf(e.getMessage()).contains("secret"), e.toString());
  }

  /** SQLite takes a NUL for the end, and one name for a database in memory. */
  @ParameterizedTest
  @ValueSource(strings = {"a%00b", "a.db%00", ":memory:", ""})
  void aNameThatWouldOpenSomethingElseIsRefused(String name) throws SQLException {
    assertThrows(SQLException.class, () -> parse("//h/" + name));
    GrpsqliteDataSource other = GrpsqliteDataSource.of("jdbc:grpsqlite://h/a.db");
    String decoded = name.replace("%00", "\0");
    assertThrows(IllegalArgumentException.class, () -> other.withDatabase(decoded));
  }

  @Test
  void aNameThatIsNoUnicodeIsRefused() {
    GrpsqliteDataSource other = GrpsqliteDataSource.of("jdbc:grpsqlite://h/a.db");
    assertThrows(IllegalArgumentException.class, () -> other.withDatabase("\uD800"));
  }

  @Test
  void propertiesGoBeforeParametersAndEachGoesWhereItBelongs() throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("token", "right");
    properties.setProperty("password", "not looked at");
    properties.setProperty("foreign_keys", "true");
    Target target =
        Target.parse(
            "jdbc:grpsqlite://h/a.db?token=wrong&foreign_keys=false&TIMEOUT_MS=7", properties);
    assertEquals(
        "file:a.db?vfs=grpsqlite&server=http%3A%2F%2Fh&timeout_ms=7&token=right", target.uri());
    assertEquals("{foreign_keys=true}", target.properties().toString());
    assertEquals("jdbc:grpsqlite://h/a.db?timeout_ms=7", target.toString());
  }
}
