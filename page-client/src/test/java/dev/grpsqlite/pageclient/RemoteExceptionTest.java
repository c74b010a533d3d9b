package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.netty.shaded.io.netty.handler.ssl.NotSslRecordException;
import java.net.ConnectException;
import java.security.cert.CertificateException;
import javax.net.ssl.SSLHandshakeException;
import org.junit.jupiter.api.Test;

/** What gRPC's own transport says, in a sentence. */
class RemoteExceptionTest {
  private static RemoteException unavailable(Throwable cause) {
    return RemoteException.of(
        Status.UNAVAILABLE.withDescription("io exception").withCause(cause).asRuntimeException());
  }

  @Test
  void aCertificateThatIsNotTrustedIsNoMissingServer() {
    SSLHandshakeException handshake = new SSLHandshakeException("General OpenSslEngine problem");
    handshake.initCause(new CertificateException("no name matching db.example found"));
    RemoteException untrusted = unavailable(handshake);
    assertEquals(Status.Code.INTERNAL, untrusted.code());
    assertTrue(
        untrusted.getMessage().startsWith("the server's certificate is not trusted (no name"),
        untrusted::getMessage);
    assertTrue(untrusted.getMessage().contains("GRPSQLITE_CA_FILE"), untrusted::getMessage);
  }

  @Test
  void aServerWithoutTlsIsSaidToBeOne() {
    RemoteException plain = unavailable(new NotSslRecordException("not an SSL/TLS record: 00"));
    assertEquals(Status.Code.INTERNAL, plain.code());
    assertTrue(plain.getMessage().contains("not with TLS"), plain::getMessage);
  }

  @Test
  void aServerThatIsAwayIsThat() {
    RemoteException away = unavailable(new ConnectException("Connection refused"));
    assertEquals(Status.Code.UNAVAILABLE, away.code());
    assertEquals("io exception (Connection refused)", away.getMessage());
  }
}
