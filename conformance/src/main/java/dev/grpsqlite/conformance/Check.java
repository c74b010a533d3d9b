package dev.grpsqlite.conformance;

/** How a rule is checked: returns if the server keeps it, throws {@link Violation} if not. */
@FunctionalInterface
interface Check {
  void run(Trial trial) throws Exception;
}
