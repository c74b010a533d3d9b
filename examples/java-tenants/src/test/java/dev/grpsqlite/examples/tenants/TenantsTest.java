package dev.grpsqlite.examples.tenants;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import dev.grpsqlite.testing.GrpsqliteExtension;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(GrpsqliteExtension.class)
class TenantsTest {
  private final HttpClient client = HttpClient.newHttpClient();

  private HttpRequest.Builder request(Tenants service, String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + service.port() + path));
  }

  private String get(Tenants service, String path) throws Exception {
    return client.send(request(service, path).build(), BodyHandlers.ofString()).body();
  }

  private int post(Tenants service, String path, String text) throws Exception {
    HttpRequest request = request(service, path).POST(BodyPublishers.ofString(text)).build();
    return client.send(request, BodyHandlers.discarding()).statusCode();
  }

  @Test
  void eachTenantSeesItsOwnWhicheverProcessIsAsked(GrpsqliteDataSource databases) throws Exception {
    try (Tenants one = new Tenants(databases, 0);
        Tenants two = new Tenants(databases, 0)) {
      assertEquals(201, post(one, "/alice/notes", "buy milk"));
      assertEquals(201, post(two, "/bob/notes", "grün"));
      assertEquals(201, post(two, "/alice/notes", "'); DROP TABLE note; --"));
      assertEquals("1 buy milk\n2 '); DROP TABLE note; --\n", get(one, "/alice/notes"));
      assertEquals("1 grün\n", get(one, "/bob/notes"));
      assertEquals(404, post(one, "/../notes", "out"));
    }
  }

  @Test
  void manyAtOnce(GrpsqliteDataSource databases) throws Exception {
    try (Tenants service = new Tenants(databases.withDatabase("x"), 0)) {
      List<CompletableFuture<Integer>> answers = new ArrayList<>();
      for (int n = 0; n < 60; n++) {
        HttpRequest request =
            request(service, "/many-" + n % 3 + "/notes")
                .POST(BodyPublishers.ofString("note " + n))
                .build();
        answers.add(
            client
                .sendAsync(request, BodyHandlers.discarding())
                .thenApply(answer -> answer.statusCode()));
      }
      for (CompletableFuture<Integer> answer : answers) {
        assertEquals(201, answer.get());
      }
      for (int tenant = 0; tenant < 3; tenant++) {
        assertEquals(20, get(service, "/many-" + tenant + "/notes").lines().count());
      }
    }
  }
}
