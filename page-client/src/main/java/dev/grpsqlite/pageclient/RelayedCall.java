package dev.grpsqlite.pageclient;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Deadline;
import io.grpc.Drainable;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A call that a {@link Relay} makes. What comes waits until it is wanted, in memory: whoever asks
 * for much at once gets it at once.
 */
final class RelayedCall<Q, A> extends ClientCall<Q, A> implements Relay.Asked {
  private final Relay relay;
  private final String url;
  private final MethodDescriptor<Q, A> method;
  private final @Nullable Deadline deadline;
  private final Executor executor;
  private final Deque<byte[]> arrived = new ArrayDeque<>(); // guarded by this
  private int wanted; // guarded by this
  private @Nullable Status end; // guarded by this
  private boolean closed; // the listener has been told so; guarded by this
  private boolean delivering; // guarded by this
  private final Metadata trailers = new Metadata(); // complete once there is an end
  private long number;
  private @Nullable Listener<A> listener; // set before anything is asked

  RelayedCall(Relay relay, String url, MethodDescriptor<Q, A> method, CallOptions options) {
    this.relay = relay;
    this.url = url;
    this.method = method;
    this.deadline = options.getDeadline();
    Executor given = options.getExecutor();
    this.executor = given == null ? Runnable::run : given;
  }

  @Override
  public void start(Listener<A> to, Metadata headers) {
    listener = to;
    number = relay.add(this);
  }

  @Override
  public void request(int messages) {
    synchronized (this) {
      wanted += messages;
    }
    executor.execute(this::deliver);
  }

  @Override
  public void sendMessage(Q request) {
    long ms = deadline == null ? Long.MAX_VALUE / 2 : deadline.timeRemaining(TimeUnit.MILLISECONDS);
    relay.ask(
        "call " + number + " " + Math.max(0, ms) + " /" + method.getFullMethodName(),
        url,
        bytes(method, request));
  }

  static <Q> byte[] bytes(MethodDescriptor<Q, ?> method, Q request) {
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    try (InputStream from = method.streamRequest(request)) {
      if (from instanceof Drainable drainable) {
        drainable.drainTo(content);
      } else {
        from.transferTo(content);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e); // it is in memory
    }
    return content.toByteArray();
  }

  @Override
  public void halfClose() {}

  @Override
  public void cancel(@Nullable String message, @Nullable Throwable cause) {
    relay.forget(number);
    end(Status.Code.CANCELLED, "", message == null ? "cancelled" : message);
  }

  @Override
  public void message(byte[] bytes) {
    synchronized (this) {
      if (!closed) {
        arrived.add(bytes);
      }
    }
    executor.execute(this::deliver);
  }

  @Override
  public void sent(long bytes) {
    // Of uploads alone.
  }

  @Override
  public void end(Status.Code code, String reason, String message) {
    synchronized (this) {
      if (end != null) {
        return;
      }
      if (!reason.isEmpty()) {
        trailers.put(Relay.REASON, reason);
      }
      end = message.isEmpty() ? code.toStatus() : code.toStatus().withDescription(message);
    }
    executor.execute(this::deliver);
  }

  @Override
  public void lost(@Nullable String never) {
    if (never != null) {
      end(Status.Code.INTERNAL, "", never);
      return;
    }
    end(
        Status.Code.INTERNAL,
        "OUTCOME_UNKNOWN",
        "the program that speaks to the server ended; whether the server did what it was asked is"
            + " not known");
  }

  /** Tells the listener what there is to tell, one thread at a time. */
  private void deliver() {
    while (true) {
      byte[] next;
      Status last;
      synchronized (this) {
        if (delivering) {
          return; // Who does sees what there is by now.
        }
        next = wanted > 0 ? arrived.poll() : null;
        wanted -= next == null ? 0 : 1;
        last = next == null && arrived.isEmpty() && !closed ? end : null;
        if (next == null && last == null) {
          return;
        }
        delivering = true;
      }
      try {
        if (next != null) {
          listener().onMessage(method.parseResponse(new ByteArrayInputStream(next)));
        } else if (last != null) {
          close(last);
        }
      } catch (StatusRuntimeException e) { // not what the schema says, or too many
        relay.forget(number);
        close(e.getStatus());
      } finally {
        synchronized (this) {
          delivering = false;
        }
      }
    }
  }

  private Listener<A> listener() {
    return Objects.requireNonNull(listener, "it was not started");
  }

  private void close(Status status) {
    synchronized (this) {
      closed = true;
      arrived.clear();
      wanted = 0;
      if (end == null) {
        end = status;
      }
    }
    listener().onClose(status, trailers);
  }
}
