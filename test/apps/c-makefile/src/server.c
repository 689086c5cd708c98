#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Answers each connection with a file that stays in the image. */
int main(void) {
  const char *port = getenv("PORT");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  int on = 1, server = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(server, (struct sockaddr *)&address, sizeof address) != 0 || listen(server, 8) != 0) return 1;
  for (;;) {
    int client = accept(server, NULL, NULL);
    char request[4096], body[256] = "";
    if (read(client, request, sizeof request) <= 0) { close(client); continue; }
    FILE *file = fopen("static/hello.txt", "r");
    if (file == NULL || fgets(body, sizeof body, file) == NULL) strcpy(body, "no file");
    if (file != NULL) fclose(file);
    dprintf(client, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    close(client);
  }
}
