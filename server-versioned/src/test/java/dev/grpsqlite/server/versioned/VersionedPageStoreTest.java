package dev.grpsqlite.server.versioned;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.contract.PageStoreContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The contract, where every version is kept and where none is that need not be. */
class VersionedPageStoreTest {
  @Nested
  class KeepingAll extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return new VersionedPageStore(Retention.FOREVER, pins, clock, new SecureRandom());
    }
  }

  @Nested
  class KeepingNone extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      VersionedPageStore store =
          new VersionedPageStore(Retention.NONE, pins, clock, new SecureRandom());
      store.collectEvery(Duration.ofMillis(1));
      return store;
    }
  }

  @Test
  void namesAreInTheOrderOfTheirBytes() {
    Random random = new Random(5);
    String[] parts = {"a", "b", "/", "\u00e9", "\ud7ff", "\ue000", "\uffee", "\ud83d\ude00"};
    for (int i = 0; i < 20_000; i++) {
      String a = parts[random.nextInt(8)] + parts[random.nextInt(8)] + parts[random.nextInt(8)];
      String b = parts[random.nextInt(8)] + parts[random.nextInt(8)];
      int bytes =
          Arrays.compareUnsigned(
              a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));
      assertEquals(
          Integer.signum(bytes), Integer.signum(VersionedPageStore.compareUtf8(a, b)), a + " " + b);
    }
  }
}
