"""The addresses of the test project."""

urlpatterns = []
