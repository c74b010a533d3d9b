package dev.grpsqlite.server.admission;

import dev.grpsqlite.server.admission.Refusals.Limit;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import dev.grpsqlite.server.wire.Statuses;
import io.grpc.Context;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketAddress;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The calls of a server and the bytes that they take. gRPC collects a request until it is whole,
 * and keeps an answer until the client has taken it; both are memory that a client has without
 * having done anything for it. What is above a limit is refused with BUSY: it is nothing that the
 * caller must have done.
 *
 * <p>To be added to a server both as tracer factory and as the outermost interceptor. Thread-safe.
 */
public final class CallsUnderWay extends ServerStreamTracer.Factory implements ServerInterceptor {
  private static final Context.Key<Bytes> KEY = Context.key("grpsqlite-call-bytes");

  /** Such answers are sent also when there is no room: they are needed to make some. */
  private static final int SMALL_ANSWER_BYTES = 4096;

  /** Who sends as much in a request has more to come. */
  private static final int LARGE_REQUEST_BYTES = 512 << 10;

  /** The clients of one address may have 1 / this of everything. */
  private static final int SHARE = 2;

  private final AdmissionLimits limits;
  private final Refusals refusals;
  private final Connections connections;
  private final LongSupplier nanoTime;
  private final Usage all = new Usage();
  private final ConcurrentHashMap<Object, Usage> perAddress = new ConcurrentHashMap<>();
  private final Set<Bytes> calls = ConcurrentHashMap.newKeySet();

  /**
   * @param nanoTime as {@link System#nanoTime}
   */
  public CallsUnderWay(
      AdmissionLimits limits, Refusals refusals, Connections connections, LongSupplier nanoTime) {
    this.limits = limits;
    this.refusals = refusals;
    this.connections = connections;
    this.nanoTime = nanoTime;
  }

  /** Of requests that are not answered, and answers that are not taken. */
  public long bytes() {
    return all.bytes.get();
  }

  /** Ends what does not go on. To be called now and then. */
  public void endStalled() {
    long now = nanoTime.getAsLong();
    calls.forEach(call -> call.endIfStalled(now));
  }

  @Override
  public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
    return new Bytes();
  }

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    Bytes bytes = KEY.get();
    if (bytes == null) {
      return next.startCall(call, headers);
    }
    Ended<ReqT, RespT> guarded = new Ended<>(call, bytes);
    if (!bytes.begin(guarded, call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR))) {
      guarded.refuse(Limit.CALLS, "the server has as many calls under way as it can");
      return new ServerCall.Listener<>() {};
    }
    return new SimpleForwardingServerCallListener<>(next.startCall(guarded, headers)) {
      @Override
      public void onHalfClose() {
        bytes.requestArrived();
        if (!guarded.isRefused()) {
          super.onHalfClose();
        }
      }

      @Override
      public void onReady() {
        bytes.answersTaken();
        super.onReady();
      }
    };
  }

  /** What all clients have, or those of one address. */
  private static final class Usage {
    final AtomicInteger calls = new AtomicInteger();
    final AtomicLong bytes = new AtomicLong();
  }

  /** The bytes of one call. */
  private final class Bytes extends ServerStreamTracer {
    private @Nullable Ended<?, ?> call; // guarded by this, as all below
    private @Nullable Usage usage;
    private @Nullable Object address;
    private @Nullable SocketAddress peer;
    private long request;
    private long answers;
    private boolean arrived;
    private boolean closed;
    private long lastNanos;

    @Override
    public Context filterContext(Context context) {
      return context.withValue(KEY, this);
    }

    /** Returns false if there are too many calls. */
    synchronized boolean begin(Ended<?, ?> newCall, @Nullable SocketAddress from) {
      if (closed) {
        return true;
      }
      Object key = Connections.address(from);
      usage =
          perAddress.compute(
              key,
              (unused, before) -> {
                Usage counted = before == null ? new Usage() : before;
                counted.calls.incrementAndGet();
                return counted;
              });
      call = newCall;
      address = key;
      peer = from;
      lastNanos = nanoTime.getAsLong();
      calls.add(this);
      // What came before, if anything did.
      all.bytes.addAndGet(request);
      usage.bytes.addAndGet(request);
      return all.calls.incrementAndGet() <= limits.calls()
          && usage.calls.get() <= Math.max(1, limits.calls() / SHARE);
    }

    @Override
    public void inboundWireSize(long bytes) {
      Ended<?, ?> tooMuch;
      synchronized (this) {
        request += bytes;
        tooMuch = add(bytes) && isOver() ? call : null;
      }
      if (tooMuch != null) {
        tooMuch.refuse(
            Limit.CALL_BYTES, "the server has as many bytes of calls under way as it can");
      }
    }

    @Override
    public synchronized void outboundWireSize(long bytes) {
      answers += bytes;
      boolean unused = add(bytes);
    }

    synchronized void requestArrived() {
      refusals.requestReceived(request);
      if (request >= LARGE_REQUEST_BYTES) {
        connections.allowLargeFrames(peer);
      }
      arrived = true;
      lastNanos = nanoTime.getAsLong();
    }

    synchronized void answersTaken() {
      boolean unused = add(-answers);
      answers = 0;
    }

    /** Returns whether it counts. */
    private boolean add(long bytes) {
      if (closed || usage == null) {
        return false;
      }
      all.bytes.addAndGet(bytes);
      usage.bytes.addAndGet(bytes);
      lastNanos = nanoTime.getAsLong();
      return true;
    }

    synchronized boolean isOver() {
      return usage != null
          && (all.bytes.get() > limits.callBytes()
              || usage.bytes.get() > limits.callBytes() / SHARE);
    }

    void endIfStalled(long now) {
      Ended<?, ?> lateRequest;
      SocketAddress lateReader;
      synchronized (this) {
        if (closed || now - lastNanos < limits.stall().toNanos()) {
          return;
        }
        lateRequest = arrived ? null : call;
        lateReader = answers > 0 ? peer : null;
      }
      if (lateRequest != null) {
        lateRequest.refuse(Limit.STALL, "the request did not arrive");
      } else if (lateReader != null) {
        refusals.refused(Limit.STALL);
        connections.close(lateReader);
      }
    }

    @Override
    public void streamClosed(Status status) {
      synchronized (this) {
        Usage mine = usage;
        if (closed || mine == null || address == null) {
          closed = true;
          return;
        }
        boolean unused = add(-request - answers);
        closed = true;
        all.calls.decrementAndGet();
        perAddress.computeIfPresent(
            address, (key, counted) -> mine.calls.decrementAndGet() == 0 ? null : counted);
      }
      calls.remove(this);
    }
  }

  /** A call that may be ended from outside while the service answers it: one of them does. */
  private final class Ended<ReqT, RespT> extends SimpleForwardingServerCall<ReqT, RespT> {
    private final Bytes bytes;
    private boolean refused; // guarded by this
    private boolean answered; // guarded by this

    Ended(ServerCall<ReqT, RespT> call, Bytes bytes) {
      super(call);
      this.bytes = bytes;
    }

    synchronized boolean isRefused() {
      return refused;
    }

    synchronized void refuse(Limit limit, String message) {
      if (refused || answered) {
        return;
      }
      refused = true;
      refusals.refused(limit);
      StatusRuntimeException answer = Statuses.of(new RequestException(Reason.BUSY, message));
      Metadata trailers = Status.trailersFromThrowable(answer);
      super.close(answer.getStatus(), trailers == null ? new Metadata() : trailers);
    }

    @Override
    public synchronized void sendHeaders(Metadata headers) {
      if (!refused) {
        super.sendHeaders(headers);
      }
    }

    @Override
    public synchronized void sendMessage(RespT message) {
      if (refused) {
        return;
      }
      if (isLarge(message) && bytes.isOver()) {
        refuse(Limit.CALL_BYTES, "the server has as many bytes of answers under way as it can");
        return;
      }
      super.sendMessage(message);
      if (!getMethodDescriptor().getType().serverSendsOneMessage() && isReady()) {
        bytes.answersTaken();
      }
    }

    @Override
    public synchronized void close(Status status, Metadata trailers) {
      if (!refused) {
        answered = true;
        super.close(status, trailers);
      }
    }

    /** The services' messages come as streams that know their length. */
    private static boolean isLarge(Object message) {
      try {
        return message instanceof InputStream stream && stream.available() > SMALL_ANSWER_BYTES;
      } catch (IOException e) {
        return true;
      }
    }
  }
}
