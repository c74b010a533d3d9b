package dev.grpsqlite.server.auth;

import java.util.List;

/**
 * A pattern of database names, component by component (what is between slashes): {@code *} stands
 * for any characters within one component, none included; {@code **}, which is a component of its
 * own, for any number of components, none included, but at the end for at least one. So {@code
 * a/**} is what is in {@code a} at any depth, and not {@code a} itself; {@code **} alone is every
 * name. Every other character stands for itself. Immutable.
 */
public final class NamePattern {
  /** As long as a name can be. */
  private static final int MAX_CHARS = 512;

  private static final String ANY_COMPONENTS = "**";

  private final String text;
  private final List<String> components;

  private NamePattern(String text, List<String> components) {
    this.text = text;
    this.components = components;
  }

  /**
   * Reads a pattern.
   *
   * @throws IllegalArgumentException with what is wrong with it: among others that it can match no
   *     name
   */
  public static NamePattern parse(String text) {
    String problem = problem(text);
    if (!problem.isEmpty()) {
      throw new IllegalArgumentException("the pattern '" + text + "' " + problem);
    }
    return new NamePattern(text, List.of(text.split("/", -1)));
  }

  private static String problem(String text) {
    if (text.isEmpty()) {
      return "is empty";
    }
    if (text.length() > MAX_CHARS) {
      return "has more than " + MAX_CHARS + " characters";
    }
    if (text.indexOf('\0') >= 0) {
      return "contains a NUL, which no name does";
    }
    if (text.startsWith("/")) {
      return "begins with '/', as no name does";
    }
    for (String component : text.split("/", -1)) {
      if (component.equals("..")) {
        return "has a component '..', as no name does";
      }
      if (component.contains(ANY_COMPONENTS) && !component.equals(ANY_COMPONENTS)) {
        return "has a '**' that is not alone between slashes";
      }
    }
    return "";
  }

  public boolean matches(String name) {
    String[] parts = name.split("/", -1);
    // reachable[i]: the pattern so far matches the first i components. Linear in each step, so that
    // no pattern is slow on any name.
    boolean[] reachable = new boolean[parts.length + 1];
    reachable[0] = true;
    for (int p = 0; p < components.size(); p++) {
      String component = components.get(p);
      boolean[] next = new boolean[parts.length + 1];
      if (component.equals(ANY_COMPONENTS)) {
        boolean before = false;
        for (int i = 0; i <= parts.length; i++) {
          boolean atLeastOne = before;
          before |= reachable[i];
          next[i] = p == components.size() - 1 ? atLeastOne : before;
        }
      } else {
        for (int i = 0; i < parts.length; i++) {
          next[i + 1] = reachable[i] && matchesComponent(component, parts[i]);
        }
      }
      reachable = next;
    }
    return reachable[parts.length];
  }

  /** With {@code *} only; going back to the last one is enough. */
  private static boolean matchesComponent(String pattern, String part) {
    int p = 0;
    int s = 0;
    int star = -1;
    int taken = 0;
    while (s < part.length()) {
      if (p < pattern.length() && pattern.charAt(p) == '*') {
        star = p++;
        taken = s;
      } else if (p < pattern.length() && pattern.charAt(p) == part.charAt(s)) {
        p++;
        s++;
      } else if (star >= 0) {
        p = star + 1;
        s = ++taken;
      } else {
        return false;
      }
    }
    while (p < pattern.length() && pattern.charAt(p) == '*') {
      p++;
    }
    return p == pattern.length();
  }

  /** What every name that matches begins with; maybe nothing. */
  public String literalPrefix() {
    int star = text.indexOf('*');
    return star < 0 ? text : text.substring(0, star);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof NamePattern pattern && pattern.text.equals(text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public String toString() {
    return text;
  }
}
