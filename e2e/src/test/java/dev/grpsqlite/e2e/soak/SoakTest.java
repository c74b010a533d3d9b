package dev.grpsqlite.e2e.soak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Folders;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P1 to P8 while everything goes wrong: a short form of {@code make soak}. */
class SoakTest {
  private static final Duration LENGTH = Duration.ofSeconds(12);

  private interface Run {
    Report run(Backend backend, long seed, Duration length, Path folder) throws Exception;
  }

  @ParameterizedTest
  @EnumSource
  void whatClientsSeeIsStrictlySerializable(Backend backend) throws Exception {
    run(Recorded::run, backend);
  }

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void randomSqlDoesWhatItDoesOnALocalFile(Backend backend) throws Exception {
    run(Compared::run, backend);
  }

  private static void run(Run run, Backend backend) throws Exception {
    Assumptions.assumeTrue(
        Backend.installed().contains(backend), "no " + backend + " is installed here");
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    System.out.println(backend + ": -Dgrpsqlite.seed=" + seed);
    Path parent = Files.createDirectories(Dist.root().resolve("e2e/target/soak"));
    Path folder = Files.createTempDirectory(parent, "seed-" + seed + "-");
    Report report = run.run(backend, seed, LENGTH, folder);
    System.out.println(report);
    assertEquals(List.of(), report.complaints(), report + ", histories in " + folder);
    assertTrue(report.ok() > 0, report.toString());
    Folders.delete(folder);
  }
}
