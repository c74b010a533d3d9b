package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/** Files that a user's clone does not have; a test that wants one is skipped without it. */
final class TestData {
  private TestData() {}

  static Path require(String name) {
    Path path = Dist.testData().resolve(name);
    assumeTrue(
        Files.exists(path),
        "no " + name + " in " + Dist.testData() + "; GRPSQLITE_TEST_DATA says where to look");
    return path;
  }
}
