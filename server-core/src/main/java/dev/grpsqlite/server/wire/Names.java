package dev.grpsqlite.server.wire;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** What a database may be called. */
public final class Names {
  private static final int MAX_BYTES = 512;

  private Names() {}

  /** Returns the name, or fails with INVALID_NAME. */
  public static String checked(String name) {
    String problem = problem(name);
    if (!problem.isEmpty()) {
      throw new RequestException(Reason.INVALID_NAME, "not a database name: it " + problem);
    }
    return name;
  }

  private static String problem(String name) {
    if (name.isEmpty()) {
      return "is empty";
    }
    if (name.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
      return "has more than " + MAX_BYTES + " bytes";
    }
    if (name.indexOf('\0') >= 0) {
      return "contains a NUL";
    }
    if (name.startsWith("/")) {
      return "begins with '/'";
    }
    if (Arrays.asList(name.split("/", -1)).contains("..")) {
      return "has a component '..'";
    }
    return "";
  }
}
