package dev.grpsqlite.server.auth;

import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;
import org.jspecify.annotations.Nullable;

/**
 * The certificate that a server shows and its key, replaceable while connections are made. A
 * handshake asks for an alias first and by it for the certificate and the key: each pair has an
 * alias of its own, and the one before the last is still there, so that a handshake never has the
 * one of the old pair and the other of the new. Thread-safe.
 */
public final class ServerKey extends X509ExtendedKeyManager {
  private record Pair(List<X509Certificate> chain, PrivateKey key) {}

  private static final Map<String, String> SIGNATURES =
      Map.of("RSA", "SHA256withRSA", "EC", "SHA256withECDSA", "EdDSA", "EdDSA");

  private final Map<String, Pair> pairs = new ConcurrentHashMap<>();
  private final AtomicLong generation = new AtomicLong();

  /** Of files in PEM. */
  public ServerKey(byte[] certificates, byte[] key) throws PemException {
    replace(certificates, key);
  }

  /**
   * Shows another certificate from the next handshake on; fails, and shows the old, if it cannot.
   */
  public void replace(byte[] certificates, byte[] key) throws PemException {
    Pair pair = new Pair(List.of(Pem.certificates(certificates)), Pem.privateKey(key));
    checkBelongTogether(pair);
    long next = generation.get() + 1;
    pairs.put(alias(next), pair);
    generation.set(next);
    pairs.remove(alias(next - 2));
  }

  private static void checkBelongTogether(Pair pair) throws PemException {
    String algorithm = pair.key.getAlgorithm();
    String signatures = SIGNATURES.getOrDefault(algorithm, algorithm);
    byte[] message = new byte[32];
    new SecureRandom().nextBytes(message);
    try {
      Signature signer = Signature.getInstance(signatures);
      signer.initSign(pair.key);
      signer.update(message);
      byte[] signature = signer.sign();
      Signature verifier = Signature.getInstance(signatures);
      verifier.initVerify(pair.chain.get(0).getPublicKey());
      verifier.update(message);
      if (verifier.verify(signature)) {
        return;
      }
    } catch (GeneralSecurityException e) {
      throw new PemException("the key is not that of the certificate: " + e.getMessage(), e);
    }
    throw new PemException("the key is not that of the certificate", null);
  }

  /** When the certificate that is shown ends. */
  public Instant notAfter() {
    Pair pair = pairs.get(alias(generation.get()));
    if (pair == null) {
      throw new IllegalStateException("there is always a pair");
    }
    return pair.chain.get(0).getNotAfter().toInstant();
  }

  private static String alias(long number) {
    return "pair " + number;
  }

  private @Nullable String choose(String keyType) {
    String alias = alias(generation.get());
    Pair pair = pairs.get(alias);
    return pair != null && isOf(pair.key.getAlgorithm(), keyType) ? alias : null;
  }

  /** Key types of handshakes have longer names: EC_EC, or Ed25519 for EdDSA. */
  private static boolean isOf(String algorithm, String keyType) {
    return keyType.startsWith(algorithm) || (algorithm.equals("EdDSA") && keyType.startsWith("Ed"));
  }

  @Override
  public @Nullable String chooseEngineServerAlias(
      String keyType, Principal @Nullable [] issuers, @Nullable SSLEngine engine) {
    return choose(keyType);
  }

  @Override
  public @Nullable String chooseServerAlias(
      String keyType, Principal @Nullable [] issuers, @Nullable Socket socket) {
    return choose(keyType);
  }

  @Override
  public String @Nullable [] getServerAliases(String keyType, Principal @Nullable [] issuers) {
    String alias = choose(keyType);
    return alias == null ? null : new String[] {alias};
  }

  @Override
  public X509Certificate @Nullable [] getCertificateChain(String alias) {
    Pair pair = pairs.get(alias);
    return pair == null ? null : pair.chain.toArray(new X509Certificate[0]);
  }

  @Override
  public @Nullable PrivateKey getPrivateKey(String alias) {
    Pair pair = pairs.get(alias);
    return pair == null ? null : pair.key;
  }

  // A server is no client.

  @Override
  public String @Nullable [] getClientAliases(String keyType, Principal @Nullable [] issuers) {
    return null;
  }

  @Override
  public @Nullable String chooseClientAlias(
      String[] keyType, Principal @Nullable [] issuers, @Nullable Socket socket) {
    return null;
  }
}
