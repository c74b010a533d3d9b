package dev.grpsqlite.server.spi;

import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * A backend, as {@link java.util.ServiceLoader} finds it. Has a public constructor without
 * parameters that does nothing.
 */
public interface PageStoreProvider {
  /** The backend's name: {@code memory}, {@code rocksdb}. The server is {@code <name>-server}. */
  String name();

  /** The backend's own settings, beside those that every server has. */
  List<Setting> settings();

  /** Of settings that every server has, the defaults that suit this backend better. */
  default Map<String, String> commonDefaults() {
    return Map.of();
  }

  /**
   * Opens the engine. May block.
   *
   * @param settings a valid value for each setting that was given or has a default
   * @throws StoreOpenException with a message that tells the operator what to do
   */
  PageStore open(Map<String, String> settings, SnapshotPins pins, Clock clock)
      throws StoreOpenException;

  /**
   * A setting: {@code --name} on the command line, {@code name} in the configuration file, {@code
   * GRPSQLITE_NAME} (upper case, {@code _} for {@code -}) in the environment.
   *
   * @param placeholder what the help shows as the value, e.g. {@code DIR}
   * @param defaultValue empty for none
   * @param required the server does not start without it
   */
  record Setting(
      String name,
      String placeholder,
      String description,
      String defaultValue,
      boolean required,
      Check check) {
    public Setting withDefault(String other) {
      return new Setting(name, placeholder, description, other, required, check);
    }
  }

  /** Says what is wrong with a value. */
  @FunctionalInterface
  interface Check {
    /** An explanation that fits behind "--name: ", or empty if the value is good. */
    String problem(String value);
  }
}
