package greetings;

public class Greeting {
    public static String text() {
        return "from another module";
    }
}
