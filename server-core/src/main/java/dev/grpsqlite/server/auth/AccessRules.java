package dev.grpsqlite.server.auth;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * What a rules file says. One rule on a line:
 *
 * <pre>
 * # comment
 * token SHA256-HEX IDENTITY        who has this token is this identity
 * allow IDENTITY RIGHT PATTERN     read, write or admin; each includes those before it
 * quota PATTERN LIMIT=N...         of the databases whose names match: databases, bytes
 *                                  (together), database-bytes (each)
 * </pre>
 *
 * An identity may have any number of tokens, or none, if its certificate names it. In {@code
 * allow}, the identity {@code *} is every one that is known. The highest right of all that match
 * counts; nothing takes a right away. Words with spaces stand in double quotes.
 *
 * <p>Immutable, thread-safe.
 */
public final class AccessRules {
  /** Decisions that an identity's grants remember. */
  private static final int MAX_REMEMBERED = 10_000;

  private static final String EVERYONE = "*";

  private final Map<Token, String> tokens;
  private final Map<String, Grants> grants;
  private final Grants everyone;

  private final List<Quota> quotas;

  private AccessRules(
      Map<Token, String> tokens, Map<String, List<Allow>> allowed, List<Quota> quotas) {
    this.quotas = List.copyOf(quotas);
    this.tokens = Map.copyOf(tokens);
    List<Allow> forAll = allowed.getOrDefault(EVERYONE, List.of());
    Map<String, Grants> byIdentity = new HashMap<>();
    allowed.forEach(
        (identity, own) -> {
          List<Allow> all = new ArrayList<>(own);
          if (!identity.equals(EVERYONE)) {
            all.addAll(forAll);
          }
          byIdentity.put(identity, new Grants(List.copyOf(all)));
        });
    this.everyone = new Grants(forAll);
    byIdentity.remove(EVERYONE);
    this.grants = Map.copyOf(byIdentity);
  }

  /** Who has this token. */
  Optional<String> identityOf(String token) {
    return identityOf(Token.of(token));
  }

  Optional<String> identityOf(Token token) {
    return Optional.ofNullable(tokens.get(token));
  }

  /** Whether there is anything that this identity may do. */
  boolean knows(String identity) {
    return !of(identity).allowed.isEmpty();
  }

  List<Quota> quotas() {
    return quotas;
  }

  Right right(String identity, String database) {
    return of(identity).right(database);
  }

  /**
   * What the names begin with that an identity may read at all: in the order of their bytes, none
   * the beginning of another.
   */
  List<String> readablePrefixes(String identity) {
    return of(identity).prefixes;
  }

  private Grants of(String identity) {
    Grants own = grants.get(identity);
    return own == null ? everyone : own;
  }

  private record Allow(Right right, NamePattern pattern) {}

  private static final class Grants {
    private final List<Allow> allowed;
    private final List<String> prefixes;
    private final Map<String, Right> remembered = new ConcurrentHashMap<>();

    Grants(List<Allow> allowed) {
      this.allowed = allowed;
      this.prefixes =
          Utf8.withoutExtensions(
              allowed.stream().map(allow -> allow.pattern.literalPrefix()).toList());
    }

    Right right(String database) {
      Right known = remembered.get(database);
      if (known != null) {
        return known;
      }
      Right highest = Right.NONE;
      for (Allow allow : allowed) {
        if (allow.right.compareTo(highest) > 0 && allow.pattern.matches(database)) {
          highest = allow.right;
        }
      }
      if (remembered.size() >= MAX_REMEMBERED) {
        remembered.clear();
      }
      remembered.put(database, highest);
      return highest;
    }
  }

  // ---- Reading

  /** Reads all the lines, or none. */
  public static AccessRules parse(String text) throws RulesSyntaxException {
    Reader reader = new Reader();
    int number = 0;
    for (String line : text.split("\r?\n", -1)) {
      number++;
      try {
        List<String> words = Words.of(line);
        if (!words.isEmpty()) {
          reader.take(number, words);
        }
      } catch (IllegalArgumentException e) {
        throw new RulesSyntaxException(number, String.valueOf(e.getMessage()));
      }
    }
    return reader.done();
  }

  private static final class Reader {
    private final Map<Token, String> tokens = new HashMap<>();
    private final Map<Token, Integer> tokenLines = new LinkedHashMap<>();
    private final Map<String, List<Allow>> allowed = new HashMap<>();
    private final Map<List<String>, Integer> allowLines = new HashMap<>();
    private final List<Quota> quotas = new ArrayList<>();
    private final Map<String, Integer> quotaLines = new HashMap<>();

    void take(int line, List<String> words) {
      switch (words.get(0)) {
        case "token" -> {
          checkCount(words, "token SHA256-HEX IDENTITY");
          takeToken(line, words.get(1), words.get(2));
        }
        case "allow" -> {
          checkCount(words, "allow IDENTITY RIGHT PATTERN");
          takeAllow(line, words.get(1), words.get(2), words.get(3));
        }
        case "quota" -> takeQuota(line, words);
        default ->
            throw new IllegalArgumentException(
                "a rule begins with token, allow or quota, not with '" + words.get(0) + "'");
      }
    }

    private static void checkCount(List<String> words, String form) {
      if (words.size() != form.split(" ", -1).length) {
        throw new IllegalArgumentException("the rule is not '" + form + "'");
      }
    }

    private void takeToken(int line, String hex, String identity) {
      Token token;
      try {
        token = Token.ofHash(hex);
      } catch (IllegalArgumentException e) {
        // What stands there may be the token itself: it is not to be seen in a log.
        throw new IllegalArgumentException(
            "the second word is not the SHA-256 of a token: 64 hexadecimal digits", e);
      }
      checkIdentity(identity);
      if (identity.equals(EVERYONE)) {
        throw new IllegalArgumentException("'*' is every identity; a token is of one");
      }
      Integer before = tokenLines.putIfAbsent(token, line);
      if (before != null) {
        throw new IllegalArgumentException("the token is in line " + before + " already");
      }
      tokens.put(token, identity);
    }

    private void takeAllow(int line, String identity, String right, String pattern) {
      checkIdentity(identity);
      Right allowedRight =
          switch (right) {
            case "read", "write", "admin" -> Right.valueOf(right.toUpperCase(Locale.ROOT));
            default ->
                throw new IllegalArgumentException("'" + right + "' is not read, write or admin");
          };
      Allow allow = new Allow(allowedRight, NamePattern.parse(pattern));
      Integer before = allowLines.putIfAbsent(List.of(identity, pattern), line);
      if (before != null) {
        throw new IllegalArgumentException(
            "line " + before + " is about '" + identity + "' and '" + pattern + "' already");
      }
      allowed.computeIfAbsent(identity, key -> new ArrayList<>()).add(allow);
    }

    private void takeQuota(int line, List<String> words) {
      if (words.size() < 3) {
        throw new IllegalArgumentException("the rule is not 'quota PATTERN LIMIT=N...'");
      }
      Map<String, Long> limits = new HashMap<>();
      for (String word : words.subList(2, words.size())) {
        int equals = word.indexOf('=');
        String name = equals < 0 ? word : word.substring(0, equals);
        switch (name) {
          case "databases", "bytes", "database-bytes" -> {}
          default ->
              throw new IllegalArgumentException(
                  "'" + name + "' is not databases, bytes or database-bytes");
        }
        String value = equals < 0 ? "" : word.substring(equals + 1);
        if (!value.matches("[0-9]{1,18}")) {
          throw new IllegalArgumentException("'" + word + "' is not " + name + "=NUMBER");
        }
        if (limits.put(name, Long.parseLong(value)) != null) {
          throw new IllegalArgumentException("'" + name + "' is there twice");
        }
      }
      NamePattern pattern = NamePattern.parse(words.get(1));
      Integer before = quotaLines.putIfAbsent(pattern.toString(), line);
      if (before != null) {
        throw new IllegalArgumentException(
            "line " + before + " is about '" + pattern + "' already");
      }
      quotas.add(
          new Quota(
              pattern,
              limits.getOrDefault("databases", Long.MAX_VALUE),
              limits.getOrDefault("bytes", Long.MAX_VALUE),
              limits.getOrDefault("database-bytes", Long.MAX_VALUE)));
    }

    private static void checkIdentity(String identity) {
      if (identity.isEmpty()) {
        throw new IllegalArgumentException("the identity is empty");
      }
    }

    AccessRules done() throws RulesSyntaxException {
      AccessRules rules = new AccessRules(tokens, allowed, quotas);
      for (Map.Entry<Token, Integer> each : tokenLines.entrySet()) {
        @Nullable String identity = tokens.get(each.getKey());
        if (identity != null && !rules.knows(identity)) {
          throw new RulesSyntaxException(
              each.getValue(), "nothing is allowed to '" + identity + "' in any line");
        }
      }
      return rules;
    }
  }
}
