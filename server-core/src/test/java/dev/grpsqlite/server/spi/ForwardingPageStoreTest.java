package dev.grpsqlite.server.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Set;
import org.junit.jupiter.api.Test;

class ForwardingPageStoreTest {
  /** A method with a default would otherwise be answered here, and not by the store. */
  @Test
  void nothingIsLeftToADefault() {
    assertEquals(Set.of(), StoreMethods.notOverriddenBy(ForwardingPageStore.class));
  }

  @Test
  void whateverAStoreCanDoIsPassedOn() throws Exception {
    StoreMethods.assertEachIsPassedOn(store -> new ForwardingPageStore(store) {});
  }
}
