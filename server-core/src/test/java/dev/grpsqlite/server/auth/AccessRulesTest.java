package dev.grpsqlite.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AccessRulesTest {
  /** Of "secret" and "other", by sha256sum. */
  private static final String SECRET =
      "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

  private static final String OTHER =
      "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

  private static AccessRules rules(String... lines) throws RulesSyntaxException {
    return AccessRules.parse(String.join("\n", lines));
  }

  @Test
  void aTokenIsKnownByItsHash() throws Exception {
    AccessRules rules =
        rules(
            "token " + SECRET + " alice",
            "token " + OTHER.toUpperCase(Locale.ROOT) + " alice",
            "allow alice read **");
    assertEquals(Optional.of("alice"), rules.identityOf("secret"));
    assertEquals(Optional.of("alice"), rules.identityOf("other"));
    assertEquals(Optional.empty(), rules.identityOf("Secret"));
    assertEquals(Optional.empty(), rules.identityOf(""));
    assertEquals(Optional.empty(), rules.identityOf(SECRET), "the hash is no token");
  }

  @Test
  void theHighestRightThatMatchesCounts() throws Exception {
    AccessRules rules =
        rules(
            "allow alice read **",
            "allow alice write tenant-7/**   # its own",
            "allow * admin scratch/*",
            "",
            "  # nothing");
    assertEquals(Right.READ, rules.right("alice", "tenant-8/main.db"));
    assertEquals(Right.WRITE, rules.right("alice", "tenant-7/main.db"));
    assertEquals(Right.WRITE, rules.right("alice", "tenant-7/main.db"), "asked again");
    assertEquals(Right.ADMIN, rules.right("alice", "scratch/a"));
    assertEquals(Right.ADMIN, rules.right("spiffe://x/y", "scratch/a"));
    assertEquals(Right.NONE, rules.right("spiffe://x/y", "tenant-7/main.db"));
    assertTrue(rules.knows("anyone"));
  }

  @Test
  void whoeverNoLineIsAboutIsNotKnown() throws Exception {
    AccessRules rules = rules("allow alice read a");
    assertTrue(rules.knows("alice"));
    assertFalse(rules.knows("bob"));
    assertFalse(rules.knows("*"));
    assertEquals(Right.NONE, rules.right("bob", "a"));
  }

  @Test
  void wordsMayBeQuoted() throws Exception {
    AccessRules rules = rules("allow \"John \\\"Q\\\" Smith\" write \"my #1 file\"");
    assertEquals(Right.WRITE, rules.right("John \"Q\" Smith", "my #1 file"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "grant alice read a | line 2: a rule begins with token, allow or quota, not with 'grant'",
        "allow alice read | line 2: the rule is not 'allow IDENTITY RIGHT PATTERN'",
        "allow alice read a b | line 2: the rule is not 'allow IDENTITY RIGHT PATTERN'",
        "allow alice own a | line 2: 'own' is not read, write or admin",
        "allow alice READ a | line 2: 'READ' is not read, write or admin",
        "allow alice read /a | line 2: the pattern '/a' begins with '/', as no name does",
        "allow \"\" read a | line 2: the identity is empty",
        "allow bob write b | line 2: line 1 is about 'bob' and 'b' already",
        "allow \"alice read a | line 2: a quote is not closed",
        "allow a\"lice\" read a | line 2: there is a quote within a word",
        "allow \"alice\"read a | line 2: there is no space behind a closing quote",
        "quota a bites=1 | line 2: 'bites' is not databases, bytes or database-bytes",
        "quota a bytes=1k | line 2: 'bytes=1k' is not bytes=NUMBER",
        "quota a bytes=1 bytes=2 | line 2: 'bytes' is there twice",
        "quota a | line 2: the rule is not 'quota PATTERN LIMIT=N...'",
        "token secret bob | line 2: the second word is not the SHA-256 of a token: 64 hexadecimal"
            + " digits",
      })
  void aWrongLineIsNamed(String line, String message) {
    RulesSyntaxException refused =
        assertThrows(RulesSyntaxException.class, () -> rules("allow bob read b", line));
    assertEquals(message.strip(), refused.getMessage());
  }

  @Test
  void aTokenIsOfOneIdentityThatMayDoSomething() {
    assertEquals(
        "line 2: the token is in line 1 already",
        assertThrows(
                RulesSyntaxException.class,
                () -> rules("token " + SECRET + " a", "token " + SECRET + " b", "allow a read x"))
            .getMessage());
    assertEquals(
        "line 2: nothing is allowed to 'alcie' in any line",
        assertThrows(
                RulesSyntaxException.class,
                () -> rules("allow alice read a", "token " + SECRET + " alcie"))
            .getMessage());
    assertThrows(
        RulesSyntaxException.class, () -> rules("token " + SECRET + " *", "allow * read a"));
  }

  @Test
  void readablePrefixesAreInOrderAndNoneBeginsWithAnother() throws Exception {
    AccessRules rules =
        rules(
            "allow alice read b/**",
            "allow alice write a/x*",
            "allow alice read a/xy",
            "allow * read c");
    assertEquals(List.of("a/x", "b/", "c"), rules.readablePrefixes("alice"));
    assertEquals(List.of("c"), rules.readablePrefixes("bob"));
  }

  @Test
  void aCallerIsJudgedByTheRulesAsTheyAre() throws Exception {
    Access access = Access.by(rules("token " + SECRET + " alice", "allow alice write a"));
    Caller caller = access.caller("secret", null);
    caller.require("a", Right.WRITE);
    access.replace(rules("token " + SECRET + " alice", "allow alice read a"));
    assertEquals(
        AccessException.Code.NOT_ALLOWED,
        assertThrows(AccessException.class, () -> caller.require("a", Right.WRITE)).code());
    caller.require("a", Right.READ);
    access.replace(rules("allow bob read a"));
    assertFalse(caller.may("a", Right.READ));
    assertEquals(
        AccessException.Code.BAD_TOKEN,
        assertThrows(AccessException.class, () -> access.caller("secret", "bob")).code(),
        "a wrong token is not made good by a certificate");
    assertEquals("bob", access.caller(null, "bob").identity());
    assertEquals(
        AccessException.Code.NOT_ALLOWED,
        assertThrows(AccessException.class, () -> access.caller(null, "carol")).code());
    assertEquals(
        AccessException.Code.BAD_TOKEN,
        assertThrows(AccessException.class, () -> access.caller(null, null)).code());
  }

  @Test
  void anOpenServerAsksNobody() {
    Caller caller = Access.open().caller("whatever", null);
    assertEquals("", caller.identity());
    assertTrue(caller.may("a", Right.ADMIN));
  }
}
