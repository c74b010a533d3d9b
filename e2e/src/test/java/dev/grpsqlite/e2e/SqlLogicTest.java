package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** SQLite's own tests of what SQL means. */
class SqlLogicTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void allPass(Kind kind) throws Exception {
    assertAllPass(kind.client(folder));
  }

  static void assertAllPass(Client client) throws Exception {
    List<String> files = files();
    assertRan(
        files, client.python("sqllogictest.py", arguments("remote", Kind.freshName("slt"), files)));
  }

  @Test
  void theRunnerAgreesWithPlainSqlite() throws Exception {
    List<String> files = files();
    assertRan(
        files,
        new Client(folder, "")
            .python("sqllogictest.py", arguments("local", folder.toString(), files)));
  }

  @Test
  void theRunnerSeesWrongResults() throws Exception {
    Path file = folder.resolve("wrong.test");
    for (String record :
        List.of(
            "query I nosort\nSELECT 1\n----\n2\n",
            "query I nosort\nSELECT 1\n----\n",
            "query T nosort\nSELECT ''\n----\n@\n",
            "query II rowsort\nSELECT 1, 2\n----\n1 values hashing to 0\n",
            "statement ok\nSELECT * FROM nowhere\n",
            "statement error\nSELECT 1\n",
            "query I nosort same\nSELECT 1\n----\n1\n\nquery I nosort same\nSELECT 2\n----\n2\n",
            "onlyif sqlite\nstatement ok\nnonsense\n")) {
      Files.writeString(file, record);
      Finished run =
          new Client(folder, "").python("sqllogictest.py", "local", folder.toString(), "" + file);
      assertEquals(1, run.exit(), record + run);
    }
  }

  private static List<String> files() throws Exception {
    try (Stream<Path> all = Files.walk(TestData.require("sqllogictest"))) {
      return all.map(Path::toString).filter(name -> name.endsWith(".test")).sorted().toList();
    }
  }

  private static String[] arguments(String where, String prefix, List<String> files) {
    return Stream.concat(Stream.of(where, prefix), files.stream()).toArray(String[]::new);
  }

  private static void assertRan(List<String> files, Finished run) {
    assertEquals(0, run.exit(), run.toString());
    List<String> lines = run.out().lines().toList();
    assertEquals(files.size(), lines.size(), run.out());
    for (String line : lines) {
      assertTrue(Integer.parseInt(line.substring(line.indexOf(' ') + 1)) > 0, line);
    }
  }
}
