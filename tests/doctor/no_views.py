"""A URLconf without views."""

urlpatterns = []
