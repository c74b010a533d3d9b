package dev.grpsqlite.conformance;

import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** Names of databases that nobody else has, and which were given out. Thread-safe. */
final class Names {
  private final String prefix;
  private final List<String> given = new ArrayList<>();

  Names() {
    byte[] random = new byte[16];
    new SecureRandom().nextBytes(random);
    prefix = "conformance-" + HexFormat.of().formatHex(random) + "-";
  }

  String prefix() {
    return prefix;
  }

  synchronized String next() {
    String name = prefix + given.size();
    given.add(name);
    return name;
  }

  /** One that the kit's databases are not called by themselves, but that begins as they do. */
  synchronized String next(String suffix) {
    String name = prefix + given.size() + suffix;
    given.add(name);
    return name;
  }

  synchronized List<String> given() {
    return List.copyOf(given);
  }
}
