package dev.grpsqlite.server.wire;

import dev.grpsqlite.server.auth.ClientAuthority;
import dev.grpsqlite.server.auth.PeerCertificate;
import io.grpc.Attributes;
import io.grpc.Grpc;
import io.grpc.ServerTransportFilter;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

/** Notes the client's certificate of each connection with TLS. */
public final class PeerCertificates extends ServerTransportFilter {
  static final Attributes.Key<PeerCertificate> KEY = Attributes.Key.create("grpsqlite-peer");

  private final ClientAuthority authority;

  public PeerCertificates(ClientAuthority authority) {
    this.authority = authority;
  }

  @Override
  public Attributes transportReady(Attributes attributes) {
    SSLSession session = attributes.get(Grpc.TRANSPORT_ATTR_SSL_SESSION);
    return session == null
        ? attributes
        : attributes.toBuilder().set(KEY, new PeerCertificate(authority, chain(session))).build();
  }

  private static X509Certificate[] chain(SSLSession session) {
    try {
      return Arrays.stream(session.getPeerCertificates())
          .map(X509Certificate.class::cast)
          .toArray(X509Certificate[]::new);
    } catch (SSLPeerUnverifiedException e) {
      return new X509Certificate[0];
    }
  }
}
