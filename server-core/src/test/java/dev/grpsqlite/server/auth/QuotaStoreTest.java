package dev.grpsqlite.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.spi.StoreMethods;
import java.util.Set;
import org.junit.jupiter.api.Test;

class QuotaStoreTest {
  /** Whoever adds an operation says here that nothing becomes larger or smaller by it. */
  private static final Set<String> OF_NO_SIZE =
      Set.of(
          "acquireLease",
          "capabilities",
          "mark",
          "changes",
          "close",
          "dropStage",
          "dropStages",
          "figures",
          "refusesWrites",
          "find",
          "head",
          "history",
          "info",
          "lease",
          "list",
          "neighbours",
          "read",
          "readStaged",
          "releaseLease",
          "setRetention",
          "sideFiles",
          "snapshot",
          "snapshotAt",
          "stage",
          "stageInBulk");

  @Test
  void whatChangesASizeIsNotTheStoresAlone() {
    assertEquals(OF_NO_SIZE, StoreMethods.notOverriddenBy(QuotaStore.class));
  }

  @Test
  void whateverAStoreCanDoIsPassedOn() throws Exception {
    StoreMethods.assertEachIsPassedOn(
        store -> new QuotaStore(store, Access.open(), Quota.ofAll(Long.MAX_VALUE, Long.MAX_VALUE)));
  }
}
