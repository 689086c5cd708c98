#include <string>
std::string greeting() { return "a library of its own"; }
