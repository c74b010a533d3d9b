package dev.grpsqlite.bench.workload;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** SQLite's own files, in its own default settings but for {@code synchronous}. */
final class LocalPlace implements Place {
  private final Path folder;
  private final String synchronous;

  LocalPlace(Path folder, String synchronous) throws IOException {
    this.folder = Files.createDirectories(folder.resolve("local-" + synchronous));
    this.synchronous = synchronous;
  }

  @Override
  public String name() {
    return "local " + synchronous;
  }

  @Override
  public boolean isRemote() {
    return false;
  }

  @Override
  public Connection open(String database) throws SQLException {
    Connection connection = DriverManager.getConnection("jdbc:sqlite:" + folder.resolve(database));
    Place.execute(connection, "PRAGMA synchronous = " + synchronous);
    return connection;
  }

  @Override
  public Connection openToRead(String database, String... parameters) throws SQLException {
    return DriverManager.getConnection("jdbc:sqlite:file:" + folder.resolve(database) + "?mode=ro");
  }

  @Override
  public void load(Path source, String database) throws IOException {
    Files.copy(source, folder.resolve(database));
  }

  @Override
  public void drop(String database) throws IOException {
    Files.delete(folder.resolve(database));
  }
}
