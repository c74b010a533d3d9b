package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.auth.AccessException.Code;
import java.security.cert.CertificateException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;

/**
 * The certificate of a connection's client. It is judged again when it ends and when the authority
 * is replaced, for connections last long. Thread-safe.
 */
public final class PeerCertificate {
  // Types of subjectAltName, RFC 5280 4.2.1.6.
  private static final int DNS = 2;
  private static final int URI = 6;

  private final ClientAuthority authority;
  private final X509Certificate[] chain;
  private final String identity;
  private final Instant notAfter;

  /** The authority that trusted it last. */
  private volatile long generation;

  /**
   * @param chain empty if the client showed none
   */
  public PeerCertificate(ClientAuthority authority, X509Certificate[] chain) {
    this.authority = authority;
    this.chain = chain.clone();
    this.identity = chain.length == 0 ? "" : identity(chain[0]);
    this.notAfter = chain.length == 0 ? Instant.MIN : chain[0].getNotAfter().toInstant();
  }

  /** Whose it is. Fails with BAD_TOKEN if it is not good (any more). */
  public String identity() {
    if (chain.length == 0) {
      throw new AccessException(Code.BAD_TOKEN, "the server asks for a client's certificate");
    }
    if (Instant.now().isAfter(notAfter)) {
      throw new AccessException(Code.BAD_TOKEN, "the client's certificate has expired");
    }
    long now = authority.generation();
    if (generation != now) {
      try {
        authority.checkClientTrusted(chain, chain[0].getPublicKey().getAlgorithm());
      } catch (CertificateException e) {
        throw new AccessException(Code.BAD_TOKEN, "the client's certificate is not trusted");
      }
      generation = now;
    }
    return identity;
  }

  /**
   * The first URI of its subject's alternative names; else the first DNS name; else the common name
   * of the subject; else the subject.
   */
  static String identity(X509Certificate certificate) {
    String uri = alternativeName(certificate, URI);
    if (!uri.isEmpty()) {
      return uri;
    }
    String dns = alternativeName(certificate, DNS);
    if (!dns.isEmpty()) {
      return dns;
    }
    String subject = certificate.getSubjectX500Principal().getName();
    try {
      for (Rdn part : new LdapName(subject).getRdns()) {
        if (part.getType().equalsIgnoreCase("CN")) {
          return String.valueOf(part.getValue());
        }
      }
    } catch (InvalidNameException e) {
      // As it stands, then.
    }
    return subject;
  }

  private static String alternativeName(X509Certificate certificate, int type) {
    try {
      Collection<List<?>> names = certificate.getSubjectAlternativeNames();
      if (names != null) {
        for (List<?> name : names) {
          if (name.get(0) instanceof Integer number && number == type) {
            return String.valueOf(name.get(1));
          }
        }
      }
    } catch (CertificateParsingException e) {
      // It was trusted all the same; it has no such name.
    }
    return "";
  }
}
