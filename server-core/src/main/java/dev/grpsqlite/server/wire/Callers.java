package dev.grpsqlite.server.wire;

import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.auth.AccessException;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.PeerCertificate;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import org.jspecify.annotations.Nullable;

/**
 * Finds out who makes a call: by its bearer token, else by the certificate of its connection. The
 * service asks {@link #current} before it first waits. A service behind none of these serves
 * nobody.
 */
public final class Callers implements ServerInterceptor {
  /** What one call says of its caller. */
  private record Credentials(
      Access access,
      @Nullable String token,
      @Nullable PeerCertificate certificate,
      @Nullable SocketAddress from) {
    Caller caller(@Nullable String otherToken) {
      // A bad certificate is not made good by a token.
      String identity = certificate == null ? null : certificate.identity();
      return access.caller(token == null ? otherToken : token, identity);
    }
  }

  private static final Context.Key<Credentials> KEY = Context.key("grpsqlite-caller");
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final String BEARER = "Bearer ";

  private final Access access;
  private final boolean tokensInMessages;

  /**
   * @param tokensInMessages the service itself refuses callers that nobody knows: what tells who
   *     they are may be in the request
   */
  public Callers(Access access, boolean tokensInMessages) {
    this.access = access;
    this.tokensInMessages = tokensInMessages;
  }

  /** Who makes the call that this thread is in. Fails with BAD_TOKEN and NOT_ALLOWED. */
  public static Caller current() {
    return currentOr(null);
  }

  /** As {@link #current}, with the token that the request has, where the call itself has none. */
  public static Caller currentOr(@Nullable String token) {
    Credentials credentials = KEY.get();
    if (credentials == null) {
      throw new IllegalStateException("nobody has asked who calls");
    }
    return credentials.caller(token);
  }

  /** With whom a caller shares limits: its identity, or without one, its address. */
  public static String countedAs(Caller caller) {
    Credentials credentials = KEY.get();
    return caller.identity().isEmpty()
            && credentials != null
            && credentials.from instanceof InetSocketAddress tcp
            && tcp.getAddress() != null
        ? "clients at " + tcp.getAddress().getHostAddress()
        : caller.identity();
  }

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    Credentials credentials =
        new Credentials(
            access,
            token(headers),
            call.getAttributes().get(PeerCertificates.KEY),
            call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR));
    if (!tokensInMessages) {
      try {
        credentials.caller(null);
      } catch (AccessException e) {
        StatusRuntimeException refused = Statuses.of(e);
        Metadata trailers = Status.trailersFromThrowable(refused);
        call.close(refused.getStatus(), trailers == null ? new Metadata() : trailers);
        return new ServerCall.Listener<>() {};
      }
    }
    return Contexts.interceptCall(
        Context.current().withValue(KEY, credentials), call, headers, next);
  }

  /** Of several schemes in HTTP, the one that is served. Null if there is no token. */
  private static @Nullable String token(Metadata headers) {
    String value = headers.get(AUTHORIZATION);
    return value != null && value.regionMatches(true, 0, BEARER, 0, BEARER.length())
        ? value.substring(BEARER.length()).strip()
        : null;
  }
}
