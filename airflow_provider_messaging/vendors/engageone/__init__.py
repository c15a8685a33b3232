"""EngageOne Communicate."""
