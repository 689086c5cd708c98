#include <iostream>
#include <string>
std::string greeting();
int main() { std::cout << "built by CMake, with " << greeting() << std::endl; return 5; }
