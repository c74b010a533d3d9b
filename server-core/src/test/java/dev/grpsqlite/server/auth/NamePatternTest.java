package dev.grpsqlite.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NamePatternTest {
  @ParameterizedTest(name = "{0} matches {1}: {2}")
  @CsvSource({
    "main.db, main.db, true",
    "main.db, main-db, false",
    "main.db, main.db2, false",
    "main.db, a/main.db, false",
    "tenant-7/*, tenant-7/main.db, true",
    "tenant-7/*, tenant-7/, true",
    "tenant-7/*, tenant-7, false",
    "tenant-7/*, tenant-7/a/b, false",
    "tenant-7/*, tenant-70/main.db, false",
    "tenant-*/main.db, tenant-7/main.db, true",
    "tenant-*/main.db, tenant-/main.db, true",
    "tenant-*/main.db, tenant-7/8/main.db, false",
    "*.db, main.db, true",
    "*.db, .db, true",
    "*.db, a/main.db, false",
    "a*b*c, aXbXbXc, true",
    "a*b*c, aXbXbX, false",
    "*a*a*, aa, true",
    "*a*a*, a, false",
    "tenant-7/**, tenant-7/main.db, true",
    "tenant-7/**, tenant-7/a/b/c, true",
    "tenant-7/**, tenant-7/, true",
    "tenant-7/**, tenant-7, false",
    "tenant-7/**, tenant-70/main.db, false",
    "tenant-7/**, xtenant-7/main.db, false",
    "**, main.db, true",
    "**, a/b/c, true",
    "**/main.db, main.db, true",
    "**/main.db, a/b/main.db, true",
    "**/main.db, a/b/xmain.db, false",
    "a/**/z, a/z, true",
    "a/**/z, a/b/c/z, true",
    "a/**/z, a/b/c, false",
    "a/**/**, a/b, true",
    "a/**/**, a, false",
    "*/**, a, false",
    "*/**, a/b, true",
    "a//b, a//b, true",
    "a//b, a/b, false",
    "a/*/b, a//b, true",
    "a?[b], a?[b], true",
    "a?[b], axb, false",
    "A, a, false",
  })
  void theWholeNameIsCompared(String pattern, String name, boolean matches) {
    assertEquals(matches, NamePattern.parse(pattern).matches(name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/a", "/", "../a", "a/..", "a**", "**a/b", "a/***", "a\0b"})
  void whatCanMatchNothingOrIsAMistakeIsRefused(String pattern) {
    assertThrows(IllegalArgumentException.class, () -> NamePattern.parse(pattern));
  }

  @Test
  void noPatternIsSlow() {
    String name = ("a".repeat(40) + "/").repeat(12) + "b";
    NamePattern stars = NamePattern.parse("**/" + "*a".repeat(20) + "/**/**/*a*a*a/**/c");
    assertTimeoutPreemptively(
        Duration.ofSeconds(5),
        () -> {
          for (int i = 0; i < 1000; i++) {
            assertEquals(false, stars.matches(name));
          }
        });
  }

  @Test
  void theLiteralPrefixEndsAtTheFirstStar() {
    assertEquals("tenant-", NamePattern.parse("tenant-*/x").literalPrefix());
    assertEquals("", NamePattern.parse("**").literalPrefix());
    assertEquals("a/b", NamePattern.parse("a/b").literalPrefix());
  }
}
