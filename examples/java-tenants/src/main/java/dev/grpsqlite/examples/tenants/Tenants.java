package dev.grpsqlite.examples.tenants;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Notes by HTTP: {@code POST /TENANT/notes} adds one, {@code GET /TENANT/notes} lists them. Each
 * tenant has a database of its own, so no query can show one what is another's.
 *
 * <p>The service itself keeps nothing: any number of these processes can serve the same tenants.
 */
public final class Tenants implements AutoCloseable {
  private static final int THREADS = 16;
  private static final int MAX_NOTE_BYTES = 64 << 10;

  /** What can be in a name is said here, and is no path. */
  private static final Pattern PATH = Pattern.compile("/([a-z0-9-]{1,40})/notes");

  private final GrpsqliteDataSource databases;
  private final HttpServer http;
  private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);

  /**
   * Serves.
   *
   * @param databases at the server that has them; the database that it names is not used
   * @param port of 127.0.0.1; 0 for a free one
   */
  public Tenants(GrpsqliteDataSource databases, int port) throws IOException {
    this.databases = databases;
    http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    http.setExecutor(threads);
    http.createContext("/", this::answer);
    http.start();
  }

  public static void main(String[] arguments) throws IOException {
    // At the server in GRPSQLITE_URL, or on this machine.
    Tenants service =
        new Tenants(
            GrpsqliteDataSource.of("jdbc:grpsqlite:///any?busy_timeout=10000"),
            Integer.parseInt(arguments[0]));
    System.out.println("listening on 127.0.0.1:" + service.port());
  }

  public int port() {
    return http.getAddress().getPort();
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      Matcher path = PATH.matcher(exchange.getRequestURI().getPath());
      if (!path.matches()) {
        respond(exchange, 404, "there is /TENANT/notes\n");
        return;
      }
      try (Connection database =
          databases.withDatabase("tenants/" + path.group(1) + ".db").getConnection()) {
        answer(exchange, database);
      } catch (SQLException e) {
        System.err.println(path.group(1) + ": " + e.getMessage());
        respond(exchange, 503, "the database cannot be used now\n");
      }
    }
  }

  private static void answer(HttpExchange exchange, Connection database)
      throws SQLException, IOException {
    try (Statement statement = database.createStatement()) {
      statement.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text NOT NULL)");
    }
    switch (exchange.getRequestMethod()) {
      case "GET" -> respond(exchange, 200, notes(database));
      case "POST" -> {
        String text;
        try (InputStream body = exchange.getRequestBody()) {
          text = new String(body.readNBytes(MAX_NOTE_BYTES), StandardCharsets.UTF_8);
        }
        try (PreparedStatement insert =
            database.prepareStatement("INSERT INTO note (text) VALUES (?)")) {
          insert.setString(1, text);
          insert.executeUpdate();
        }
        respond(exchange, 201, "");
      }
      default -> respond(exchange, 405, "GET or POST\n");
    }
  }

  private static String notes(Connection database) throws SQLException {
    StringBuilder notes = new StringBuilder();
    try (Statement statement = database.createStatement();
        ResultSet rows = statement.executeQuery("SELECT id, text FROM note ORDER BY id")) {
      while (rows.next()) {
        notes.append(rows.getLong(1)).append(' ').append(rows.getString(2)).append('\n');
      }
    }
    return notes.toString();
  }

  private static void respond(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
    exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
    if (bytes.length > 0) {
      exchange.getResponseBody().write(bytes);
    }
  }

  @Override
  public void close() {
    http.stop(1);
    threads.shutdown();
  }
}
