import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

// A compact source file of Java 25: its class has no name of its own, and its main method is neither public nor static.
void main() throws IOException {
    int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
    HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
    server.createContext("/", exchange -> {
        byte[] body = ("shop on Java " + Runtime.version().feature()).getBytes();
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    });
    server.start();
}
