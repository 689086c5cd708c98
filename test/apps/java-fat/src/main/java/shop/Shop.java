package shop;

import io.javalin.Javalin;

public class Shop {
    public static void main(String[] args) {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        Javalin.create().get("/", context -> context.result("Javalin")).start(port);
    }
}
