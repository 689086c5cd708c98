package shop;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;

public class Main {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.createContext("/", exchange -> {
            String css = new String(Main.class.getResourceAsStream("/static/site.css").readAllBytes());
            boolean hasNode = Files.exists(Path.of("/layers/bale_nodejs")) || Files.exists(Path.of("node_modules"));
            byte[] body = (css + ", no node in the image: " + !hasNode).getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
