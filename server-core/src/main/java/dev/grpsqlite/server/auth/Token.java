package dev.grpsqlite.server.auth;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * A token as a server knows it: its SHA-256. Who reads the rules file learns no token. Which tokens
 * exist cannot be found out by the time that a comparison takes, for it is the hashes that are
 * compared, and nobody can choose those.
 */
final class Token {
  static final int BYTES = 32;

  private final byte[] hash;

  private Token(byte[] hash) {
    this.hash = hash;
  }

  static Token of(String secret) {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      return new Token(sha256.digest(secret.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /**
   * Reads a hash.
   *
   * @throws IllegalArgumentException if it is none
   */
  static Token ofHash(String hex) {
    if (hex.length() != 2 * BYTES) {
      throw new IllegalArgumentException("not the length of a SHA-256");
    }
    return new Token(HexFormat.of().parseHex(hex));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Token token && MessageDigest.isEqual(token.hash, hash);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(hash);
  }
}
