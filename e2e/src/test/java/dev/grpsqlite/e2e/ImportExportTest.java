package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A real database goes in and comes out the same, by every way that SQLite has for it. */
class ImportExportTest {
  @TempDir Path folder;

  static Stream<Arguments> kindsAndPageSizes() {
    return Arrays.stream(Kind.values())
        .flatMap(kind -> Stream.of(512, 4096, 65536).map(size -> Arguments.of(kind, size)));
  }

  @ParameterizedTest
  @MethodSource("kindsAndPageSizes")
  void dumpedAndReadIn(Kind kind, int pageSize) throws Exception {
    Path original = chinook();
    Client client = kind.client(folder);
    String database = Kind.freshName("dumped");
    String dump = client.localShell(original, ".dump\n").ok();

    client.shell(database, "PRAGMA page_size=" + pageSize + ";\n" + dump).ok();

    assertSame(client, database, dump, pageSize);
    // And with another page size, changed afterwards.
    int other = pageSize == 4096 ? 1024 : 4096;
    client.shell(database, "PRAGMA page_size=" + other + "; VACUUM;\n").ok();
    assertSame(client, database, dump, other);
  }

  @ParameterizedTest
  @MethodSource("kindsAndPageSizes")
  void vacuumedInto(Kind kind, int pageSize) throws Exception {
    Path original = withPageSize(pageSize);
    Client client = kind.client(folder);
    String database = Kind.freshName("vacuumed");

    client
        .shell(
            "file:" + original + "?vfs=unix",
            "VACUUM INTO 'file:" + database + "?vfs=grpsqlite';\n")
        .ok();

    assertSame(client, database, client.localShell(original, ".dump\n").ok(), pageSize);
  }

  @ParameterizedTest
  @MethodSource("kindsAndPageSizes")
  void backedUpThereAndBack(Kind kind, int pageSize) throws Exception {
    Path original = withPageSize(pageSize);
    Client client = kind.client(folder);
    String database = Kind.freshName("backup");
    String dump = client.localShell(original, ".dump\n").ok();

    client.shell("file:" + original + "?vfs=unix", ".backup " + database + "\n").ok();

    assertSame(client, database, dump, pageSize);
    Path back = folder.resolve("back.sqlite");
    client.shell(database, ".backup 'file:" + back + "?vfs=unix'\n").ok();
    assertEquals(dump, client.localShell(back, ".dump\n").ok());
  }

  @ParameterizedTest
  @EnumSource
  void anExistingDatabaseIsOverwrittenByABackupOfAnotherPageSize(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("overwritten");
    client
        .shell(
            database,
            "PRAGMA page_size=512; CREATE TABLE old (x);"
                + " INSERT INTO old SELECT randomblob(400) FROM generate_series(1, 5000);\n")
        .ok();
    Path original = withPageSize(4096);

    client.shell("file:" + original + "?vfs=unix", ".backup " + database + "\n").ok();

    assertSame(client, database, client.localShell(original, ".dump\n").ok(), 4096);
  }

  @ParameterizedTest
  @EnumSource
  void autoVacuumMovesAndFreesPages(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String dump = client.localShell(chinook(), ".dump\n").ok();
    for (String mode : new String[] {"full", "incremental"}) {
      String database = Kind.freshName("auto-vacuum");
      client.shell(database, "PRAGMA auto_vacuum=" + mode + ";\n" + dump).ok();
      client
          .shell(
              database,
              "CREATE TABLE ballast AS SELECT randomblob(2000) FROM generate_series(1, 500);"
                  + " CREATE TABLE behind AS SELECT * FROM Track;"
                  + " DROP TABLE ballast; DROP TABLE behind;\n")
          .ok();
      String pages = "SELECT page_count FROM pragma_page_count;";
      long before = Long.parseLong(client.shell(database, pages).ok().trim());
      if (mode.equals("incremental")) {
        client.shell(database, "PRAGMA incremental_vacuum(50);\n").ok();
        assertEquals(before - 50, Long.parseLong(client.shell(database, pages).ok().trim()));
        client.shell(database, "PRAGMA incremental_vacuum;\n").ok();
      }
      assertEquals("0\n", client.shell(database, "PRAGMA freelist_count;").ok());
      assertSame(client, database, dump, 4096);
    }
  }

  private static void assertSame(Client client, String database, String dump, int pageSize)
      throws Exception {
    assertEquals(
        pageSize + "\nok\n",
        client.shell(database, "PRAGMA page_size; PRAGMA integrity_check;\n").ok());
    assertEquals(dump, client.shell(database, ".dump\n").ok());
  }

  private Path chinook() throws Exception {
    Path copy = folder.resolve("chinook.sqlite");
    Files.copy(TestData.require("chinook.sqlite"), copy, StandardCopyOption.REPLACE_EXISTING);
    copy.toFile().setWritable(true);
    return copy;
  }

  private Path withPageSize(int pageSize) throws Exception {
    Path copy = chinook();
    new Client(folder, "").localShell(copy, "PRAGMA page_size=" + pageSize + "; VACUUM;\n").ok();
    return copy;
  }
}
