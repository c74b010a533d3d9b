package dev.grpsqlite.server.auth;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Certificates and keys as files have them (RFC 7468). */
final class Pem {
  private static final Pattern PRIVATE_KEY =
      Pattern.compile("-----BEGIN (.*)PRIVATE KEY-----([^-]*)-----END \\1PRIVATE KEY-----");

  private static final List<String> ALGORITHMS = List.of("RSA", "EC", "EdDSA");

  private Pem() {}

  static X509Certificate[] certificates(byte[] file) throws PemException {
    X509Certificate[] certificates;
    try {
      certificates =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(new ByteArrayInputStream(file))
              .toArray(new X509Certificate[0]);
    } catch (CertificateException e) {
      throw new PemException("it has no certificates in PEM: " + e.getMessage(), e);
    }
    if (certificates.length == 0) {
      throw new PemException("it has no certificate in PEM", null);
    }
    return certificates;
  }

  static PrivateKey privateKey(byte[] file) throws PemException {
    Matcher pem = PRIVATE_KEY.matcher(new String(file, StandardCharsets.ISO_8859_1));
    if (!pem.find()) {
      throw new PemException("it has no private key in PEM", null);
    }
    if (!pem.group(1).isEmpty()) {
      throw new PemException(
          "it is a "
              + pem.group(1)
              + "PRIVATE KEY, and not an unencrypted one in PKCS #8; this makes one of it: openssl"
              + " pkcs8 -topk8 -nocrypt -in OLD -out NEW",
          null);
    }
    PKCS8EncodedKeySpec spec;
    try {
      spec = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem.group(2)));
    } catch (IllegalArgumentException e) {
      throw new PemException("what stands there as a private key is not base64", e);
    }
    for (String algorithm : ALGORITHMS) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(spec);
      } catch (InvalidKeySpecException e) {
        // Of another algorithm.
      } catch (GeneralSecurityException e) {
        throw new PemException("this Java has no " + algorithm, e);
      }
    }
    throw new PemException("its key is none of " + String.join(", ", ALGORITHMS), null);
  }
}
