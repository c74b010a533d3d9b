package dev.grpsqlite.server.auth;

import java.io.IOException;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Whose certificates clients must have, replaceable while connections are made. Thread-safe.
 *
 * <p>{@link #generation} grows with each replacement: so a connection that was accepted before can
 * be judged again.
 */
public final class ClientAuthority extends X509ExtendedTrustManager {
  private record Current(X509ExtendedTrustManager trust, long generation) {}

  private volatile Current current;

  /** Of a file in PEM. */
  public ClientAuthority(byte[] certificates) throws PemException {
    current = new Current(trust(certificates), 1);
  }

  /** Trusts these from now on; fails, and trusts the old, if it cannot. */
  public synchronized void replace(byte[] certificates) throws PemException {
    current = new Current(trust(certificates), current.generation + 1);
  }

  public long generation() {
    return current.generation;
  }

  private static X509ExtendedTrustManager trust(byte[] certificates) throws PemException {
    try {
      KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
      anchors.load(null, null);
      int number = 0;
      for (X509Certificate certificate : Pem.certificates(certificates)) {
        anchors.setCertificateEntry("ca " + number++, certificate);
      }
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init(anchors);
      for (TrustManager manager : factory.getTrustManagers()) {
        if (manager instanceof X509ExtendedTrustManager trust) {
          return trust;
        }
      }
      throw new PemException("this Java has no checks of certificates", null);
    } catch (GeneralSecurityException | IOException e) {
      throw new PemException("its certificates cannot be used: " + e.getMessage(), e);
    }
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType)
      throws CertificateException {
    current.trust.checkClientTrusted(chain, authType);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket)
      throws CertificateException {
    current.trust.checkClientTrusted(chain, authType, socket);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    current.trust.checkClientTrusted(chain, authType, engine);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType)
      throws CertificateException {
    throw new CertificateException("a server trusts no servers");
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
      throws CertificateException {
    checkServerTrusted(chain, authType);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    checkServerTrusted(chain, authType);
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return current.trust.getAcceptedIssuers();
  }
}
