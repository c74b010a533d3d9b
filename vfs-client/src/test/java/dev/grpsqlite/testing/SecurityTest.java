package dev.grpsqlite.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.Security;
import dev.grpsqlite.server.launch.StorageServer;
import dev.grpsqlite.server.memory.MemoryPageStoreProvider;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.sqlite.SQLiteErrorCode;
import org.sqlite.SQLiteException;

/** A server that asks who calls, over TLS. */
@SuppressWarnings("NullAway.Init") // open() fills the fields
class SecurityTest {
  private static final String TOKEN = "ganz-geheim/+&?=%";

  @TempDir Path folder;
  private StorageServer server;
  private String url;
  private String certificate;

  @BeforeEach
  void open() throws Exception {
    Path key = folder.resolve("key.pem");
    Path cert = folder.resolve("cert.pem");
    Process openssl =
        new ProcessBuilder(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=test",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout",
                key.toString(),
                "-out",
                cert.toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("openssl.log").toFile())
            .start();
    assertTrue(openssl.waitFor(1, TimeUnit.MINUTES) && openssl.exitValue() == 0);
    String hash =
        HexFormat.of()
            .formatHex(
                MessageDigest.getInstance("SHA-256")
                    .digest(TOKEN.getBytes(StandardCharsets.UTF_8)));
    Path tokens =
        Files.writeString(
            folder.resolve("tokens"),
            "token " + hash + " tenant-7\nallow tenant-7 write tenant-7/**\n");
    server =
        StorageServer.builder(
                "test",
                pins -> new MemoryPageStoreProvider().open(Map.of(), pins, Clock.systemUTC()))
            .security(Security.load(new Security.Places(tokens, cert, key, null)))
            .open();
    url =
        "jdbc:grpsqlite://" + server.listen(ListenAddress.parse("127.0.0.1:0")) + "/tenant-7/a.db";
    certificate = cert.toString();
  }

  @AfterEach
  void close() {
    server.close();
  }

  private Properties properties(String... names) {
    Properties properties = new Properties();
    properties.setProperty("ca_file", certificate);
    for (String name : names) {
      properties.setProperty(name, TOKEN);
    }
    return properties;
  }

  @Test
  void theTokenIsAPropertyOrThePassword() throws SQLException {
    for (String name : List.of("token", "password")) {
      try (Connection connection = GrpsqliteDataSource.of(url, properties(name)).getConnection()) {
        Sql.run(connection, "CREATE TABLE " + name + " (x)");
      }
    }
    try (Connection connection =
        GrpsqliteDataSource.of(url, properties()).getConnection("anyone", TOKEN)) {
      assertEquals("2", Sql.value(connection, "SELECT count(*) FROM sqlite_schema"));
    }
  }

  @Test
  void hikarisPasswordIsTheToken() throws SQLException {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    config.addDataSourceProperty("ca_file", certificate);
    config.setPassword(TOKEN);
    try (HikariDataSource pool = new HikariDataSource(config);
        Connection connection = pool.getConnection()) {
      assertEquals("0", Sql.value(connection, "SELECT count(*) FROM sqlite_schema"));
    }
  }

  @Test
  void whoHasNoTokenOrNoRightIsRefused() throws SQLException {
    SQLiteException nobody =
        assertThrows(
            SQLiteException.class,
            () -> GrpsqliteDataSource.of(url, properties()).getConnection().close());
    assertEquals(SQLiteErrorCode.SQLITE_AUTH, nobody.getResultCode());
    GrpsqliteDataSource elsewhere =
        GrpsqliteDataSource.of(url, properties("token")).withDatabase("tenant-8/a.db");
    SQLiteException other =
        assertThrows(SQLiteException.class, () -> elsewhere.getConnection().close());
    assertEquals(SQLiteErrorCode.SQLITE_PERM, other.getResultCode());
  }

  @Test
  void aServerWithAnUnknownCertificateIsNotTalkedTo() {
    SQLException e =
        assertThrows(
            SQLException.class,
            () ->
                GrpsqliteDataSource.of(url + "?tls=true&connect_timeout_ms=2000")
                    .withToken(TOKEN)
                    .getConnection()
                    .close());
    assertTrue(String.valueOf(e.getMessage()).contains("certificate"), e.toString());
  }

  @Test
  void secretsAreShownNowhere() throws SQLException {
    StringWriter shown = new StringWriter();
    GrpsqliteDataSource good = GrpsqliteDataSource.of(url, properties("token"));
    shown.append(good.toString()).append(good.url());
    try (Connection connection = good.getConnection()) {
      shown.append(connection.getMetaData().getURL()).append(connection.toString());
      shown.append(Sql.value(connection, "SELECT group_concat(file) FROM pragma_database_list"));
      shown.append(Sql.value(connection, "PRAGMA grpsqlite_server"));
    }
    // Refused by the server, by the VFS, and by us.
    for (String broken :
        List.of(
            url.replace("tenant-7/", "tenant-8/"),
            url + "?timeout_ms=never",
            url + "?colour=red",
            url + "?token=" + TOKEN + "%",
            url.replace("/tenant-7", "?token=geheim"))) {
      SQLException e =
          assertThrows(
              SQLException.class,
              () -> GrpsqliteDataSource.of(broken, properties("token")).getConnection().close(),
              broken);
      e.printStackTrace(new PrintWriter(shown, true));
    }
    assertFalse(shown.toString().contains("geheim"), shown.toString());
  }
}
