package dev.grpsqlite.server.rocksdb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.PageStoreProvider.Setting;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class RocksPageStoreProviderTest {
  private final Map<String, Setting> settings =
      new RocksPageStoreProvider()
          .settings().stream().collect(Collectors.toMap(Setting::name, Function.identity()));

  @Test
  void isFoundByName() {
    assertEquals(
        List.of("rocksdb"),
        ServiceLoader.load(PageStoreProvider.class).stream()
            .map(provider -> provider.get().name())
            .toList());
  }

  @Test
  void theDefaultsAreGoodValues() {
    for (Setting setting : settings.values()) {
      if (!setting.required()) {
        assertEquals("", problem(setting.name(), setting.defaultValue()));
      }
    }
  }

  @Test
  void wrongValuesAreExplained() {
    assertEquals(
        "not a size from 8MiB on, like 64MiB or 2GiB: 7MiB", problem("block-cache", "7MiB"));
    assertFalse(problem("retention", "10").isEmpty());
    assertEquals("", problem("retention", "10m,100versions"));
    assertEquals("", problem("retention", "forever"));
    assertEquals("not a number from 1 to 256: 0", problem("read-threads", "0"));
    for (String size : List.of("", "64 MB", "-1", "9999999999GiB", "64mib")) {
      assertFalse(problem("block-cache", size).isEmpty(), size);
    }
    for (String time : List.of("", "-1s", "1y", "m", "10m,5m")) {
      assertFalse(problem("retention", time).isEmpty(), time);
    }
    assertFalse(problem("data", "").isEmpty());
    assertFalse(problem("data", "a\0b").isEmpty());
  }

  @Test
  void quantitiesAreWhatTheySay() {
    assertEquals(64L << 20, Quantities.size("64MiB"));
    assertEquals(2L << 30, Quantities.size("2 GiB"));
  }

  private String problem(String name, String value) {
    Setting setting = settings.get(name);
    return setting == null ? "no such setting" : setting.check().problem(value);
  }
}
